// What a database consists of: its collections and views with their options and indexes, exactly as
// the server lists them, and the form in which an artifact keeps that.
//
// A time-series collection is a view over a collection of buckets. The buckets are what is read and
// written, under the series' name, so that a measurement comes back in the bucket it was in.
//
// Threads: values. Errors: those of Client; not_found and usage for patterns.
// Source: mongodb.com/docs/manual/reference/command/{listCollections,listIndexes,create}.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/engine.hpp"
#include "engine/mongodb/bson.hpp"
#include "engine/mongodb/client.hpp"

namespace dbbackup::engine::mongodb {

struct Collection {
  std::string name;
  std::string type = "collection";  // "view", "timeseries"
  Document options;                 // as listCollections shows them
  std::vector<Document> indexes;    // as listIndexes shows them, that of _id included
  std::optional<Document> uuid;     // {"uuid": ...} while it lives; not part of an artifact

  bool is_view() const { return type == "view"; }
  bool is_timeseries() const { return type == "timeseries"; }
  bool is_capped() const { return find_truth(options.view(), "capped"); }
  // True where _id has an index that reads can follow.
  bool has_id_index() const;
  // The collection that holds its documents.
  std::string storage_name() const { return is_timeseries() ? "system.buckets." + name : name; }
  // The same after two backups, and after a restore: without what a server adds by itself.
  Document normal_form() const;
  bool operator==(const Collection&) const = default;
};

// All of the client's database, by name. Collections of the server's own are left out, except
// system.js, which holds users' functions. With `indexes`, also those.
std::vector<Collection> list_collections(Client& client, bool indexes);
// Errors: not_found for a pattern or a condition that matches nothing, usage when nothing is left.
std::vector<Collection> choose(std::vector<Collection> collections, const Scope& scope);
// The condition of --where, as a filter.
std::optional<Document> filter_of(const Scope& scope, const std::string& collection);

// True when the server has no such database.
bool database_is_missing(Client& client);

// One line of the stream schema/collections.
Document to_document(const Collection& collection);
// Errors: verification_failed.
Collection to_collection(util::ByteView document);

}  // namespace dbbackup::engine::mongodb
