#include "repository/manifest.hpp"

#include "util/error.hpp"
#include "util/text.hpp"
#include "util/ulid.hpp"

namespace dbbackup::repository {

using util::cat;
namespace json = util::json;

namespace {

constexpr std::int64_t kManifestVersion = 1;

[[noreturn]] void malformed(std::string_view what) {
  throw util::Error(util::ErrorCode::verification_failed, cat("malformed manifest: ", what));
}

std::string text(const json::Object& object, std::string_view key) {
  const std::optional<std::string> value = json::get_string(object, key);
  if (!value) malformed(key);
  return *value;
}

std::uint64_t number(const json::Object& object, std::string_view key) {
  const std::optional<std::int64_t> value = json::get_int(object, key);
  if (!value || *value < 0) malformed(key);
  return static_cast<std::uint64_t>(*value);
}

util::TimePoint time(const json::Object& object, std::string_view key) {
  const std::optional<util::TimePoint> value = util::parse_time(text(object, key));
  if (!value) malformed(key);
  return *value;
}

const json::Object& object_in(const json::Value& value, std::string_view what) {
  if (!value.is_object()) malformed(what);
  return value.get_object();
}

const json::Array& array(const json::Object& object, std::string_view key) {
  const json::Array* value = json::get_array(object, key);
  if (value == nullptr) malformed(key);
  return *value;
}

json::Object encode_summary(const Summary& summary) {
  json::Object object;
  object["server_version"] = summary.server_version;
  object["consistency_kind"] = summary.consistency_kind;
  object["consistency_position"] = summary.consistency_position;
  json::Array proof;
  for (const TableProof& table : summary.proof) {
    proof.push_back(json::Object{
        {"name", table.name}, {"rows", table.hash.rows()}, {"hash", table.hash.hex()}});
  }
  object["proof"] = std::move(proof);
  json::Array skipped;
  for (const auto& [name, reason] : summary.skipped) {
    skipped.push_back(json::Object{{"name", name}, {"reason", reason}});
  }
  object["skipped"] = std::move(skipped);
  object["warnings"] = json::from_strings(summary.warnings);
  if (!summary.suspicions.empty()) {
    object["suspicions"] = json::from_strings(summary.suspicions);
  }
  object["engine_data"] = summary.engine_data;
  return object;
}

Summary decode_summary(const json::Object& object) {
  Summary summary;
  summary.server_version = text(object, "server_version");
  summary.consistency_kind = text(object, "consistency_kind");
  summary.consistency_position = text(object, "consistency_position");
  for (const json::Value& value : array(object, "proof")) {
    const json::Object& table = object_in(value, "proof");
    const auto hash = RowHash::from_hex(text(table, "hash"), number(table, "rows"));
    if (!hash) malformed("proof");
    summary.proof.push_back({text(table, "name"), *hash});
  }
  for (const json::Value& value : array(object, "skipped")) {
    const json::Object& skipped = object_in(value, "skipped");
    summary.skipped.emplace_back(text(skipped, "name"), text(skipped, "reason"));
  }
  summary.warnings = json::get_strings(object, "warnings");
  summary.suspicions = json::get_strings(object, "suspicions");
  const json::Object* engine_data = json::get_object(object, "engine_data");
  if (engine_data == nullptr) malformed("engine_data");
  summary.engine_data = *engine_data;
  return summary;
}

json::Object encode_stream(const StreamInfo& stream, const std::string& chunk_list) {
  json::Object object;
  object["name"] = stream.name;
  object["kind"] = stream_kind_name(stream.kind);
  object["bytes"] = stream.bytes;
  object["rows"] = stream.rows;
  object["hash"] = stream.hash;
  object["columns"] = json::from_strings(stream.columns);
  object["block_bytes"] = stream.block_bytes;
  object["chunks"] = stream.chunks;
  object["chunk_list"] = chunk_list;
  return object;
}

StreamInfo decode_stream(const json::Object& object) {
  StreamInfo stream;
  stream.name = text(object, "name");
  const std::optional<StreamKind> kind = stream_kind_from_name(text(object, "kind"));
  if (!kind) malformed("kind");
  stream.kind = *kind;
  stream.bytes = number(object, "bytes");
  stream.rows = number(object, "rows");
  stream.hash = text(object, "hash");
  stream.columns = json::get_strings(object, "columns");
  const std::uint64_t block_bytes = number(object, "block_bytes");
  if (block_bytes > UINT32_MAX) malformed("block_bytes");
  stream.block_bytes = static_cast<std::uint32_t>(block_bytes);
  stream.chunks = number(object, "chunks");
  return stream;
}

}  // namespace

json::Object encode_manifest(const Manifest& manifest) {
  json::Object object;
  object["version"] = kManifestVersion;
  object["id"] = manifest.id;
  object["name"] = manifest.name;
  object["repository_id"] = manifest.repository_id;
  object["database"] = manifest.database;
  object["job"] = manifest.job;
  object["run"] = manifest.run;
  object["engine"] = manifest.engine;
  object["type"] = manifest.type;
  object["base"] = manifest.base;
  object["started"] = util::format_rfc3339(manifest.started);
  object["sealed"] = util::format_rfc3339(manifest.sealed);
  if (!manifest.origin.empty()) object["origin"] = manifest.origin;
  object["summary"] = encode_summary(manifest.summary);
  json::Array streams;
  for (std::size_t i = 0; i < manifest.streams.size(); ++i) {
    streams.push_back(encode_stream(manifest.streams[i], manifest.chunk_lists.at(i)));
  }
  object["streams"] = std::move(streams);
  object["source_bytes"] = manifest.source_bytes;
  object["rows"] = manifest.rows;
  object["added_bytes"] = manifest.added_bytes;
  object["root_hash"] = manifest.root_hash;
  return object;
}

Manifest decode_manifest(const json::Object& object) {
  const std::uint64_t version = number(object, "version");
  if (version != static_cast<std::uint64_t>(kManifestVersion)) {
    throw util::Error(util::ErrorCode::unsupported, cat("manifest of version ", version),
                      "install a newer dbbackup");
  }
  Manifest manifest;
  manifest.id = text(object, "id");
  if (!util::is_ulid(manifest.id)) malformed("id");
  manifest.name = text(object, "name");
  manifest.repository_id = text(object, "repository_id");
  manifest.database = text(object, "database");
  manifest.job = text(object, "job");
  manifest.run = text(object, "run");
  manifest.engine = text(object, "engine");
  manifest.type = text(object, "type");
  manifest.base = text(object, "base");
  manifest.started = time(object, "started");
  manifest.sealed = time(object, "sealed");
  if (const json::Object* origin = json::get_object(object, "origin")) manifest.origin = *origin;
  const json::Object* summary = json::get_object(object, "summary");
  if (summary == nullptr) malformed("summary");
  manifest.summary = decode_summary(*summary);
  for (const json::Value& value : array(object, "streams")) {
    const json::Object& stream = object_in(value, "streams");
    manifest.streams.push_back(decode_stream(stream));
    const std::string list = text(stream, "chunk_list");
    const std::optional<util::Bytes> id = util::from_hex(list);
    if (!id || id->size() != 32) malformed("chunk_list");
    manifest.chunk_lists.push_back(list);
  }
  manifest.source_bytes = number(object, "source_bytes");
  manifest.rows = number(object, "rows");
  manifest.summary.rows = manifest.rows;
  manifest.added_bytes = number(object, "added_bytes");
  manifest.root_hash = text(object, "root_hash");
  return manifest;
}

}  // namespace dbbackup::repository
