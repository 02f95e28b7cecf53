#include "engine/mongodb/collections.hpp"

#include <algorithm>

#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::mongodb {

namespace {
using util::ByteView;
using util::cat;
using util::Error;
using util::ErrorCode;

bool is_servers_own(const std::string& name) {
  return name.starts_with("system.") && name != "system.js";
}

bool any_match(const std::vector<std::string>& patterns, const std::string& name) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&](const std::string& pattern) { return util::glob_match(pattern, name); });
}

Error unknown(std::string_view what, const std::string& word,
              const std::vector<std::string>& names) {
  const auto near = util::nearest(word, names);
  return {ErrorCode::not_found, cat(what, " \"", util::printable(word), "\""),
          near ? cat("did you mean \"", util::printable(*near), "\"?") : std::string()};
}

void require_matches(const std::vector<std::string>& patterns,
                     const std::vector<std::string>& names) {
  for (const std::string& pattern : patterns) {
    if (std::none_of(names.begin(), names.end(),
                     [&](const std::string& name) { return util::glob_match(pattern, name); })) {
      throw unknown("no collection matches", pattern, names);
    }
  }
}

void read_indexes(Client& client, Collection& collection) {
  try {
    collection.indexes =
        all_rows(client, client.database(), Document().text("listIndexes", collection.name));
  } catch (const ServerError& error) {
    // Dropped since it was listed, or a server that has none.
    if (error.number() != kNamespaceNotFound && !error.is_missing_feature()) throw;
  }
}

Collection from_listing(ByteView listed) {
  Collection collection;
  collection.name = find_text(listed, "name");
  if (const std::string type = find_text(listed, "type"); !type.empty()) collection.type = type;
  if (const auto options = find(listed, "options"); options && options->document()) {
    collection.options = Document(*options->document());
  }
  if (const auto info = find(listed, "info"); info && info->document()) {
    if (const auto uuid = find(*info->document(), "uuid")) {
      collection.uuid = Document().element(*uuid);
    }
  }
  return collection;
}

// Source: mongodb.com/docs/manual/reference/command/listIndexes: `ns` was shown before 4.4;
// `background` has had no effect since 4.2.
Document normal_index(const Document& index) {
  return Document().all_but(index.view(), {"ns", "background", "v"});
}
}  // namespace

bool Collection::has_id_index() const {
  return !is_view() && std::any_of(indexes.begin(), indexes.end(), [](const Document& index) {
    return find_text(index.view(), "name") == "_id_";
  });
}

Document Collection::normal_form() const {
  std::vector<Document> sorted;
  for (const Document& index : indexes) sorted.push_back(normal_index(index));
  std::sort(sorted.begin(), sorted.end(), [](const Document& left, const Document& right) {
    return find_text(left.view(), "name") < find_text(right.view(), "name");
  });
  return Document()
      .text("name", name)
      .text("type", type)
      .document("options", Document().all_but(options.view(), {"autoIndexId", "uuid"}))
      .array("indexes", sorted);
}

std::vector<Collection> list_collections(Client& client, bool indexes) {
  std::vector<Collection> collections;
  for (const Document& listed :
       all_rows(client, client.database(), Document().int32("listCollections", 1))) {
    Collection collection = from_listing(listed.view());
    if (is_servers_own(collection.name)) continue;
    collections.push_back(std::move(collection));
  }
  std::sort(collections.begin(), collections.end(),
            [](const Collection& left, const Collection& right) { return left.name < right.name; });
  if (indexes) {
    for (Collection& collection : collections) {
      if (!collection.is_view()) read_indexes(client, collection);
    }
  }
  return collections;
}

std::vector<Collection> choose(std::vector<Collection> collections, const Scope& scope) {
  if (scope.everything()) return collections;
  std::vector<std::string> names;
  for (const Collection& collection : collections) names.push_back(collection.name);
  require_matches(scope.include, names);
  require_matches(scope.exclude, names);
  for (const auto& [name, condition] : scope.where) {
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      throw unknown("a condition names the unknown collection", name, names);
    }
  }
  std::erase_if(collections, [&](const Collection& collection) {
    return (!scope.include.empty() && !any_match(scope.include, collection.name)) ||
           any_match(scope.exclude, collection.name);
  });
  if (collections.empty()) {
    throw Error(ErrorCode::usage, "the patterns leave no collection to work on",
                "an exclude pattern also takes away what an include pattern chose");
  }
  return collections;
}

std::optional<Document> filter_of(const Scope& scope, const std::string& collection) {
  for (const auto& [name, condition] : scope.where) {
    if (name == collection) {
      return parse_json(condition, cat("the condition for ", util::printable(name)));
    }
  }
  return std::nullopt;
}

bool database_is_missing(Client& client) {
  try {
    const Reply reply = client.command(
        "admin", Document()
                     .int32("listDatabases", 1)
                     .boolean("nameOnly", true)
                     .document("filter", Document().text("name", client.database())));
    const auto list = find(reply.view(), "databases");
    if (!list || !list->document()) return false;
    Walker walker(*list->document());
    while (const auto row = walker.next()) {
      if (row->document() && find_text(*row->document(), "name") == client.database()) return false;
    }
    return true;
  } catch (const ServerError& error) {
    if (error.is_missing_feature()) return false;  // may not look, so cannot say
    throw;
  }
}

Document to_document(const Collection& collection) {
  return Document()
      .text("name", collection.name)
      .text("type", collection.type)
      .document("options", collection.options)
      .array("indexes", collection.indexes);
}

Collection to_collection(ByteView document) {
  Collection collection;
  collection.name = find_text(document, "name");
  collection.type = find_text(document, "type");
  const auto options = find(document, "options");
  const auto indexes = find(document, "indexes");
  if (collection.name.empty() || !options || !options->document() || !indexes ||
      !indexes->document()) {
    throw Error(ErrorCode::verification_failed, "the stream schema/collections is not readable",
                "run 'dbbackupctl artifact verify' on the artifact");
  }
  collection.options = Document(*options->document());
  Walker walker(*indexes->document());
  while (const auto index = walker.next()) {
    if (index->document()) collection.indexes.emplace_back(*index->document());
  }
  return collection;
}

}  // namespace dbbackup::engine::mongodb
