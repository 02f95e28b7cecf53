#include "engine/mysql/loader.hpp"

#include <algorithm>
#include <cstring>
#include <thread>

#include "util/bounded_queue.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::mysql {

namespace {
using util::cat;
using util::Error;
using util::ErrorCode;

constexpr std::size_t kPiecesAhead = 32;
// Of one statement: large enough for the server, small enough to be rolled back in a second.
constexpr std::uint64_t kBatchBytes = std::uint64_t{16} << 20U;
constexpr std::size_t kInsertBytes = std::size_t{1} << 20U;
constexpr std::size_t kShownWarnings = 5;

// A stream as pieces that somebody else reads ahead.
class Pieces {
 public:
  Pieces(repository::ArtifactReader& reader, const std::string& stream, util::Task& task)
      : queue_(kPiecesAhead),
        thread_([this, &reader, stream, &task] { read(reader, stream, task); }) {}
  ~Pieces() {
    queue_.close();
    thread_.join();
  }

  // The piece at hand, at least one byte; empty at the end of the stream.
  std::string_view rest() {
    while (at_ == piece_.size()) {
      auto next = queue_.pop();
      if (!next) {
        if (failure_) std::rethrow_exception(failure_);
        return {};
      }
      piece_ = std::move(*next);
      at_ = 0;
    }
    return std::string_view(piece_).substr(at_);
  }
  void take(std::size_t size) {
    if (size > 0) ends_row_ = piece_[at_ + size - 1] == '\n';
    at_ += size;
  }
  // Whether what was taken so far ends with a whole row: a newline inside a value is escaped.
  bool between_rows() const { return ends_row_; }

 private:
  void read(repository::ArtifactReader& reader, const std::string& stream, util::Task& task) {
    try {
      reader.open(stream)->read_all(
          [this](std::uint64_t, util::ByteView piece) {
            if (!queue_.push(std::string(util::as_text(piece)))) {
              throw Error(ErrorCode::cancelled, "cancelled");
            }
          },
          1, task);
    } catch (...) {
      failure_ = std::current_exception();
    }
    queue_.close();
  }

  util::BoundedQueue<std::string> queue_;
  std::exception_ptr failure_;
  std::string piece_;
  std::size_t at_ = 0;
  bool ends_row_ = true;
  std::thread thread_;  // last: it uses everything above
};

// "`a`,@c1,`b`" and " SET `x`=CONVERT(@c1 USING utf8mb4)"
struct Target {
  std::string columns;
  std::string assignments;
  std::vector<bool> as_text;
};

Target target_of(const std::vector<std::string>& columns, const StoredTable& table) {
  Target target;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const auto found =
        std::find_if(table.columns.begin(), table.columns.end(),
                     [&](const StoredColumn& column) { return column.name == columns[i]; });
    const bool text = found != table.columns.end() && needs_text(found->type);
    target.as_text.push_back(text);
    if (i > 0) target.columns += ',';
    if (text) {
      target.columns += cat("@c", i);
      target.assignments += cat(target.assignments.empty() ? " SET " : ", ", quote_name(columns[i]),
                                "=CONVERT(@c", i, " USING utf8mb4)");
    } else {
      target.columns += quote_name(columns[i]);
    }
  }
  return target;
}

void require_no_warnings(Connection& connection, const StoredTable& table) {
  const unsigned count = connection.warning_count();
  if (count == 0) return;
  std::vector<std::string> shown = connection.warnings();
  const bool duplicates = std::any_of(shown.begin(), shown.end(), [](const std::string& warning) {
    return warning.find(" 1062:") != std::string::npos;
  });
  if (shown.size() > kShownWarnings) shown.resize(kShownWarnings);
  throw Error(duplicates ? ErrorCode::conflict : ErrorCode::io,
              cat("loading table ", util::printable(table.name), " gave ", count,
                  " warnings: ", util::join(shown, "; ")),
              duplicates ? "rows with these keys are in the target already; --mode replace removes "
                           "them first"
                         : "rows did not fit as they are; the restore was stopped");
}

std::uint64_t load_by_file(Connection& connection, Pieces& pieces, const Target& target,
                           const StoredTable& table, util::Task& task) {
  const std::string sql =
      cat("LOAD DATA LOCAL INFILE 'rows' INTO TABLE ", quote_name(table.name),
          " CHARACTER SET binary FIELDS TERMINATED BY '\\t' ESCAPED BY '\\\\' LINES TERMINATED BY "
          "'\\n' (",
          target.columns, ")", target.assignments);
  std::uint64_t rows = 0;
  while (!pieces.rest().empty()) {
    task.check();
    std::uint64_t sent = 0;
    std::uint64_t newlines = 0;
    connection.load(sql, [&](char* buffer, std::size_t size) -> std::size_t {
      if (sent >= kBatchBytes && pieces.between_rows()) return 0;
      const std::string_view rest = pieces.rest();
      const std::size_t length = std::min(size, rest.size());
      std::memcpy(buffer, rest.data(), length);
      newlines += static_cast<std::uint64_t>(std::count(buffer, buffer + length, '\n'));
      pieces.take(length);
      sent += length;
      return length;
    });
    require_no_warnings(connection, table);
    rows += newlines;
    task.progress().bytes += sent;
    task.progress().rows += newlines;
  }
  return rows;
}

// One row of the row text as "(...)" of an INSERT.
void append_tuple(std::string_view line, const Target& target, std::string& sql) {
  sql += '(';
  for (std::size_t i = 0; i < target.as_text.size(); ++i) {
    if (i > 0) sql += ',';
    const std::size_t tab = line.find('\t');
    const std::string_view field = line.substr(0, tab);
    line.remove_prefix(tab == std::string_view::npos ? line.size() : tab + 1);
    if (field == "\\N") {
      sql += "NULL";
      continue;
    }
    sql += target.as_text[i] ? "CONVERT(_binary'" : "_binary'";
    for (const char c : field) {
      if (c == '\'') sql += '\'';
      sql += c;
    }
    sql += target.as_text[i] ? "' USING utf8mb4)" : "'";
  }
  sql += ')';
}

std::uint64_t load_by_insert(Connection& connection, Pieces& pieces, const Target& target,
                             const std::vector<std::string>& columns, const StoredTable& table,
                             util::Task& task) {
  std::string names;
  for (const std::string& column : columns) {
    names += cat(names.empty() ? "" : ",", quote_name(column));
  }
  const std::string head = cat("INSERT INTO ", quote_name(table.name), " (", names, ") VALUES ");
  std::string sql = head;
  std::string line;
  std::uint64_t rows = 0;
  const auto flush = [&] {
    if (sql.size() == head.size()) return;
    connection.execute(sql);
    require_no_warnings(connection, table);
    sql.resize(head.size());
    task.check();
  };
  for (std::string_view rest = pieces.rest(); !rest.empty(); rest = pieces.rest()) {
    const std::size_t end = rest.find('\n');
    const std::size_t length = end == std::string_view::npos ? rest.size() : end + 1;
    line.append(rest.substr(0, length));
    pieces.take(length);
    if (end == std::string_view::npos) continue;
    line.pop_back();
    if (sql.size() > head.size()) sql += ',';
    append_tuple(line, target, sql);
    task.progress().bytes += line.size() + 1;
    ++task.progress().rows;
    ++rows;
    line.clear();
    if (sql.size() >= kInsertBytes) flush();
  }
  flush();
  return rows;
}
}  // namespace

void prepare_loading(Connection& connection, const Server& server) {
  connection.execute(
      "SET SESSION foreign_key_checks=0, SESSION unique_checks=0, SESSION "
      "sql_mode='STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES,"
      "NO_ENGINE_SUBSTITUTION'");
  // Rows that break a CHECK constraint made later are rows of the source all the same.
  if (server.mariadb) connection.try_execute("SET SESSION check_constraint_checks=0");
  connection.try_execute("SET SESSION system_versioning_insert_history=1");
  connection.try_execute("SET SESSION sql_require_primary_key=0");
  connection.try_execute("SET SESSION innodb_strict_mode=0");
}

bool allows_local_infile(Connection& connection) {
  return connection.value("SELECT @@GLOBAL.local_infile").value_or("0") == "1";
}

std::uint64_t load_stream(Connection& connection, repository::ArtifactReader& reader,
                          const std::string& stream, const StoredTable& table, bool local_infile,
                          util::Task& task) {
  const auto info = std::find_if(
      reader.streams().begin(), reader.streams().end(),
      [&](const repository::StreamInfo& candidate) { return candidate.name == stream; });
  const std::vector<std::string> columns = info->columns;
  const Target target = target_of(columns, table);
  Pieces pieces(reader, stream, task);
  try {
    return local_infile ? load_by_file(connection, pieces, target, table, task)
                        : load_by_insert(connection, pieces, target, columns, table, task);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::cancelled) throw;
    throw error.with_context(cat("table ", util::printable(table.name)));
  }
}

}  // namespace dbbackup::engine::mysql
