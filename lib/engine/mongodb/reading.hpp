// How a collection's documents are read: at which time, in which order, and in which pieces.
//
// A large collection is cut into ranges of _id that several readers take at once. Ranges are bounds
// on the index of _id (`min` and `max`), which hold values of every type in one order; a filter
// with $gte and $lt would compare within one type only and leave the others out. A server that does
// not know bounds has no index that ranges could use, and would read the whole collection for each:
// it is not cut, unless somebody asks for it and all values are of one type that filters order
// completely.
//
// Threads: each function on its client's thread. Errors: those of Client.
// Source: mongodb.com/docs/manual/reference/command/find, .../bson-type-comparison-order.
#pragma once

#include <optional>
#include <vector>

#include "engine/mongodb/bson.hpp"
#include "engine/mongodb/client.hpp"
#include "engine/mongodb/collections.hpp"

namespace dbbackup::engine::mongodb {

struct ReadMode {
  // All reads see the database as it was at this time; nothing: as it is when they get there.
  std::optional<Timestamp> at;
  // In the order of _id: a document that is deleted and inserted again meanwhile is not seen twice.
  bool by_id = false;
};

// From `from` (inclusive) to `to` (exclusive), each {"_id": value}; nothing: no bound.
struct IdRange {
  std::optional<Document> from;
  std::optional<Document> to;
  bool as_filter = false;  // otherwise as bounds of the index
  bool whole() const { return !from && !to; }
};

// The command that reads one range of a collection.
Document find_command(const Collection& collection, const ReadMode& mode, const IdRange& range,
                      const std::optional<Document>& filter);

struct RangeSettings {
  std::uint64_t bytes = std::uint64_t{32} << 20U;  // 0: never cut a collection
  bool filters = false;                            // where there are no bounds, by filters
};

// Ranges that together are the whole collection, in order; one when it is not worth it or not
// possible.
std::vector<IdRange> cut_into_ranges(Client& client, const Collection& collection,
                                     const ReadMode& mode, const RangeSettings& settings);

// A time at which every reader can see the database: the first snapshot read's. Nothing when the
// server does not offer such reads; `reason` then says why.
std::optional<Timestamp> choose_snapshot_time(Client& client,
                                              const std::vector<Collection>& collections,
                                              std::string& reason);
// Capped collections cannot be read at a time of the past before MongoDB 8.0.
bool can_read_at_time(const Client& client, const Collection& collection);

}  // namespace dbbackup::engine::mongodb
