#include "exchange/export.hpp"

#include <vector>

#include "engine/sql_dialect.hpp"
#include "exchange/file_set.hpp"
#include "exchange/text_forms.hpp"
#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::exchange {

namespace json = util::json;
using util::cat;

namespace {
constexpr std::size_t kFlushBytes = 1U << 16U;

// What every format needs: counts, and the line under construction flushed now and then.
class TableWriter : public engine::RowSink {
 public:
  TableWriter(FileSet& files, util::Task& task) : files_(files), task_(task) {}

  const json::Array& tables() const { return tables_; }
  std::uint64_t rows() const { return total_rows_; }

 protected:
  void count_row() {
    ++rows_;
    ++total_rows_;
    if (buffer_.size() >= kFlushBytes) flush();
    if (rows_ % 4096 == 0) {
      task_.check();
      task_.progress().rows = total_rows_;
    }
  }
  void flush() {
    files_.write(buffer_);
    buffer_.clear();
  }
  void note_table(const engine::TableData& table, const std::string& file) {
    json::Object entry{
        {"name", table.name}, {"columns", json::from_strings(table.columns)}, {"rows", rows_}};
    if (!file.empty()) entry["file"] = file;
    tables_.push_back(std::move(entry));
    rows_ = 0;
    task_.progress().rows = total_rows_;
    task_.check();
  }

  FileSet& files_;
  util::Task& task_;
  std::string buffer_;
  std::uint64_t rows_ = 0;

 private:
  std::uint64_t total_rows_ = 0;
  json::Array tables_;
};

class CsvTables final : public TableWriter {
 public:
  using TableWriter::TableWriter;
  void begin_table(const engine::TableData& table) override {
    table_ = table;
    file_ = cat("data/", file_name_of(table.name), ".csv");
    files_.begin(file_);
    std::vector<engine::Field> header;
    for (const std::string& column : table.columns) {
      header.push_back({engine::Field::Type::text, column});
    }
    append(header);
  }
  void row(const std::vector<engine::Field>& fields) override {
    append(fields);
    count_row();
  }
  void end_table() override {
    flush();
    files_.end();
    note_table(table_, file_);
  }

 private:
  void append(const std::vector<engine::Field>& fields) {
    for (std::size_t i = 0; i < fields.size(); ++i) {
      if (i > 0) buffer_.push_back(',');
      append_csv(fields[i], buffer_);
    }
    buffer_ += "\r\n";  // Source: RFC 4180 section 2
  }
  engine::TableData table_;
  std::string file_;
};

class JsonTables final : public TableWriter {
 public:
  using TableWriter::TableWriter;
  void begin_table(const engine::TableData& table) override {
    table_ = table;
    file_ = cat("data/", file_name_of(table.name), ".json");
    files_.begin(file_);
    names_.clear();
    for (const std::string& column : table.columns) {
      names_.push_back(json::write(json::Value(column)) + ":");
    }
    buffer_ += "[";
  }
  void row(const std::vector<engine::Field>& fields) override {
    buffer_ += rows_ == 0 ? "\n" : ",\n";
    if (table_.document) {
      append_json(fields.at(*table_.document), buffer_);
      count_row();
      return;
    }
    buffer_ += "{";
    for (std::size_t i = 0; i < fields.size(); ++i) {
      if (i > 0) buffer_.push_back(',');
      buffer_ += names_.at(i);
      append_json(fields[i], buffer_);
    }
    buffer_ += "}";
    count_row();
  }
  void end_table() override {
    buffer_ += "\n]\n";
    flush();
    files_.end();
    note_table(table_, file_);
  }

 private:
  engine::TableData table_;
  std::string file_;
  std::vector<std::string> names_;
};

class SqlTables final : public TableWriter {
 public:
  SqlTables(const engine::SqlDialect& dialect, FileSet& files, util::Task& task)
      : TableWriter(files, task), dialect_(dialect) {}
  void begin_table(const engine::TableData& table) override {
    table_ = table;
    dialect_.begin_table(table_, buffer_);
  }
  void row(const std::vector<engine::Field>& fields) override {
    dialect_.row(table_, fields, buffer_);
    count_row();
  }
  void end_table() override {
    dialect_.end_table(table_, buffer_);
    flush();
    note_table(table_, "");
  }

 private:
  const engine::SqlDialect& dialect_;
  engine::TableData table_;
};

std::string schema_text(engine::ArtifactTables& tables, bool after_data) {
  std::string text;
  tables.schema([&](const std::string& statement, bool after) {
    if (after == after_data) text += statement + ";\n";
  });
  return text;
}

void write_file(FileSet& files, const std::string& name, std::string_view content) {
  files.begin(name);
  files.write(content);
  files.end();
}

template <typename Writer>
ExportResult write_folder(engine::ArtifactTables& tables, const ExportRequest& request,
                          FileSet& files, util::Task& task) {
  // Without SQL the statements are of the database's own shell.
  const char* schema = tables.dialect() == nullptr ? "schema.js" : "schema.sql";
  write_file(files, schema, schema_text(tables, false) + schema_text(tables, true));
  Writer writer(files, task);
  tables.rows(request.scope, writer, task);
  json::Object metadata = request.metadata;
  metadata["tables"] = writer.tables();
  write_file(files, "metadata.json", json::write_pretty(metadata) + "\n");
  return {writer.tables().size(), writer.rows(), 0};
}

ExportResult write_sql(engine::ArtifactTables& tables, const ExportRequest& request, FileSet& files,
                       util::Task& task) {
  const engine::SqlDialect* dialect = tables.dialect();
  if (dialect == nullptr) {
    throw util::Error(util::ErrorCode::unsupported, "artifacts of this engine have no SQL form",
                      "use --format json, native or archive");
  }
  std::string text;
  dialect->begin_script(text);
  files.begin("dump.sql");
  files.write(text);
  files.write(schema_text(tables, false));
  SqlTables writer(*dialect, files, task);
  tables.rows(request.scope, writer, task);
  files.write(schema_text(tables, true));
  text.clear();
  dialect->end_script(text);
  files.write(text);
  files.end();
  return {writer.tables().size(), writer.rows(), 0};
}

ExportResult write_export(engine::ArtifactTables& tables, const ExportRequest& request,
                          FileSet& files, util::Task& task) {
  switch (request.format) {
    case Format::csv:
      return write_folder<CsvTables>(tables, request, files, task);
    case Format::json:
      return write_folder<JsonTables>(tables, request, files, task);
    case Format::sql:
      return write_sql(tables, request, files, task);
  }
  throw util::Error(util::ErrorCode::internal, "unknown export format");
}

// Counts what passes through to the real target.
class Counted final : public FileSet {
 public:
  explicit Counted(std::unique_ptr<FileSet> target) : target_(std::move(target)) {}
  void begin(const std::string& name) override { target_->begin(name); }
  void write(std::string_view content) override {
    bytes_ += content.size();
    target_->write(content);
  }
  void end() override { target_->end(); }
  void finish() override { target_->finish(); }
  std::uint64_t bytes() const { return bytes_; }

 private:
  std::unique_ptr<FileSet> target_;
  std::uint64_t bytes_ = 0;
};
}  // namespace

std::optional<Format> format_from_name(std::string_view name) {
  if (name == "csv") return Format::csv;
  if (name == "json") return Format::json;
  if (name == "sql") return Format::sql;
  return std::nullopt;
}

ExportResult export_tables(engine::ArtifactTables& tables, const ExportRequest& request,
                           util::Task& task) {
  // "out/" means the folder "out".
  const std::filesystem::path to =
      request.to.has_filename() ? request.to : request.to.parent_path();
  if (std::filesystem::exists(std::filesystem::symlink_status(to))) {
    throw util::Error(util::ErrorCode::already_exists, cat(to.string(), " exists already"),
                      "name a target that does not exist; nothing is ever overwritten");
  }
  FileSizes sizes;
  if (needs_sizes(to)) {
    // Measured first, written then: progress tells of the second pass only.
    util::Progress unseen;
    util::Task measuring(task.stop(), unseen, {});
    CountingFiles counting;
    write_export(tables, request, counting, measuring);
    sizes = counting.sizes();
  }
  const bool plain_sql = request.format == Format::sql && to.extension() == ".sql";
  Counted files(plain_sql ? open_single_file(to) : open_file_set(to, sizes));
  ExportResult result = write_export(tables, request, files, task);
  files.finish();
  result.bytes = files.bytes();
  return result;
}

}  // namespace dbbackup::exchange
