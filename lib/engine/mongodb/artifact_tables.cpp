#include "engine/mongodb/artifact_tables.hpp"

#include "engine/mongodb/archive.hpp"
#include "engine/mongodb/backup.hpp"
#include "engine/mongodb/restore.hpp"
#include "engine/mongodb/stored_documents.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::mongodb {

namespace {
using util::ByteView;
using util::cat;

// Documents as canonical extended JSON, which keeps every type apart. Time series come as their
// buckets.
class MongoArtifactTables final : public ArtifactTables {
 public:
  explicit MongoArtifactTables(repository::ArtifactReader& reader) : reader_(reader) {}

  // Statements for mongosh.
  void schema(const std::function<void(const std::string&, bool)>& each) override {
    util::QuietTask quiet;
    const auto command = [&](const Document& document, bool after_data) {
      each(cat("db.runCommand(EJSON.parse(",
               util::json::write(util::json::Value(canonical_json(document.view()))), "))"),
           after_data);
    };
    for (const Collection& one : stored_collections(reader_, {}, quiet.task())) {
      command(Document().text("create", one.name).all_but(one.options.view(), {"uuid"}),
              one.is_view());
      if (one.indexes.empty()) continue;
      command(Document().text("createIndexes", one.name).array("indexes", one.indexes), true);
    }
  }

  void rows(const Scope& scope, RowSink& sink, util::Task& task) override {
    for (const Collection& one : stored_collections(reader_, scope, task)) {
      if (!one.is_view()) write(one, sink, task);
    }
  }

  const SqlDialect* dialect() const override { return nullptr; }

  void write_native(const std::string& path, util::Task& task) override {
    write_mongodump_archive(path, reader_, task);
  }

 private:
  void write(const Collection& collection, RowSink& sink, util::Task& task) {
    sink.begin_table({.name = collection.name,
                      .columns = {"_id", "document"},
                      .generated = {false, false},
                      .document = 1});
    const auto take = [&](ByteView document) {
      const auto id = find(document, "_id");
      Field id_field;
      if (id) {
        // {"": value} without its braces and name.
        const std::string json = canonical_json(Document().element_as("", *id).view());
        const std::size_t begin = json.find(':');
        id_field = {Field::Type::json, std::string(util::trim(std::string_view(json).substr(
                                           begin + 1, json.rfind('}') - begin - 1)))};
      }
      sink.row({id_field, {Field::Type::json, canonical_json(document)}});
      if ((++task.progress().rows & 0x3ffU) == 0) task.check();
    };
    each_stored_document(reader_, data_stream(collection.name), 2, task, take);
    sink.end_table();
  }

  repository::ArtifactReader& reader_;
};
}  // namespace

std::unique_ptr<ArtifactTables> open_artifact_tables(repository::ArtifactReader& reader) {
  return std::make_unique<MongoArtifactTables>(reader);
}

}  // namespace dbbackup::engine::mongodb
