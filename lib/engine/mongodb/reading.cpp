#include "engine/mongodb/reading.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::mongodb {

namespace {
using util::ByteView;
using util::cat;

// Two documents of the largest size fit into a message also where the server does not stop by
// itself.
constexpr std::int32_t kFirstBatch = 2;
// $sample takes a random one of each stretch; several per range make the ranges even.
constexpr std::uint64_t kSamplesPerRange = 10;
// Fewer documents than this per range are not worth a range.
constexpr std::uint64_t kMinRangeDocuments = 50;
constexpr std::uint64_t kMaxRanges = 4096;
// Source: the server's release notes; wire versions in src/mongo/db/wire_version.h.
constexpr std::int64_t kWireOfSnapshotReads = 13;    // 5.0
constexpr std::int64_t kWireOfCappedSnapshots = 25;  // 8.0

Document id_order() { return Document().int32("_id", 1); }

void add_read_concern(Document& command, const ReadMode& mode) {
  if (!mode.at) return;
  command.document("readConcern",
                   Document().text("level", "snapshot").timestamp("atClusterTime", *mode.at));
}

Element only_value(const Document& id) {
  Walker walker(id.view());
  return *walker.next();
}

Document id_filter(const IdRange& range) {
  Document bounds;
  if (range.from) bounds.element_as("$gte", only_value(*range.from));
  if (range.to) bounds.element_as("$lt", only_value(*range.to));
  return Document().document("_id", bounds);
}

struct Size {
  std::uint64_t bytes = 0;
  std::uint64_t documents = 0;
};

std::optional<Size> size_of(Client& client, const Collection& collection) {
  try {
    const Reply reply = client.command(Document().text("collStats", collection.storage_name()));
    const std::int64_t bytes = find_integer(reply.view(), "size").value_or(0);
    const std::int64_t count = find_integer(reply.view(), "count").value_or(0);
    if (bytes <= 0 || count <= 0) return std::nullopt;
    return Size{static_cast<std::uint64_t>(bytes), static_cast<std::uint64_t>(count)};
  } catch (const ServerError& error) {
    if (error.is_missing_feature() || error.number() == kNamespaceNotFound) return std::nullopt;
    throw;
  }
}

std::optional<Document> end_id(Client& client, const Collection& collection, const ReadMode& mode,
                               std::int32_t direction) {
  Document command;
  command.text("find", collection.storage_name())
      .document("projection", id_order())
      .document("sort", Document().int32("_id", direction))
      .int32("limit", 1)
      .boolean("singleBatch", true);
  add_read_concern(command, mode);
  return first_row(client, client.database(), command);
}

// Types within which $gte and $lt order all values. A class of its own each; numbers are one.
int filter_class(const Document& id) {
  const Element value = only_value(id);
  switch (value.type) {
    case BsonType::int32:
    case BsonType::int64:
      return 1;
    case BsonType::real: {
      const std::uint64_t bits = util::read_u64(value.value);
      double real = 0;
      std::memcpy(&real, &bits, sizeof real);
      return std::isnan(real) ? 0 : 1;  // NaN is not in any range
    }
    case BsonType::text:
      return 2;
    case BsonType::object_id:
      return 3;
    case BsonType::date:
      return 4;
    case BsonType::binary:
      return 5;
    default:
      return 0;
  }
}

// Asks for what lies below the lowest value: nothing, unless bounds are ignored.
bool knows_bounds(Client& client, const Collection& collection, const ReadMode& mode,
                  const Document& lowest) {
  Document command;
  command.text("find", collection.storage_name())
      .document("max", lowest)
      .document("hint", id_order())
      .int32("limit", 1)
      .boolean("singleBatch", true);
  add_read_concern(command, mode);
  try {
    return !first_row(client, client.database(), command);
  } catch (const ServerError&) {
    return false;
  }
}

std::optional<std::vector<Document>> sampled_ids(Client& client, const Collection& collection,
                                                 const ReadMode& mode, std::uint64_t ranges) {
  const auto samples = static_cast<std::int64_t>(ranges * kSamplesPerRange);
  Document command;
  command.text("aggregate", collection.storage_name())
      .array("pipeline", {Document().document("$sample", Document().int64("size", samples)),
                          Document().document("$project", id_order()),
                          Document().document("$sort", id_order())})
      .document("cursor", Document());
  add_read_concern(command, mode);
  std::vector<Document> sorted;
  try {
    sorted = all_rows(client, client.database(), command);
  } catch (const ServerError& error) {
    if (error.is_missing_feature()) return std::nullopt;
    throw;
  }
  std::vector<Document> chosen;
  for (std::uint64_t i = 1; i < ranges; ++i) {
    const std::size_t at = sorted.size() * i / ranges;
    if (at < sorted.size()) chosen.push_back(std::move(sorted[at]));
  }
  return chosen;
}

// Without $sample: one walk over all values in their order.
std::vector<Document> walked_ids(Client& client, const Collection& collection, const ReadMode& mode,
                                 std::uint64_t ranges, std::uint64_t documents) {
  Document command;
  command.text("find", collection.storage_name())
      .document("projection", id_order())
      .document("sort", id_order());
  add_read_concern(command, mode);
  std::vector<Document> chosen;
  const std::uint64_t step = documents / ranges + 1;
  std::uint64_t number = 0;
  each_row(client, client.database(), command, [&](ByteView id) {
    if (++number % step == 0) chosen.emplace_back(id);
    return true;
  });
  return chosen;
}
}  // namespace

Document find_command(const Collection& collection, const ReadMode& mode, const IdRange& range,
                      const std::optional<Document>& filter) {
  Document command;
  command.text("find", collection.storage_name());
  const bool filtered = range.as_filter && !range.whole();
  if (filtered && filter) {
    command.document("filter", Document().array("$and", {id_filter(range), *filter}));
  } else if (filtered || filter) {
    command.document("filter", filtered ? id_filter(range) : *filter);
  }
  const bool by_id = (mode.by_id || !range.whole()) && collection.has_id_index();
  command.document("hint", by_id ? id_order() : Document().int32("$natural", 1));
  if (!range.whole()) command.document("sort", id_order());
  if (!filtered && range.from) command.document("min", *range.from);
  if (!filtered && range.to) command.document("max", *range.to);
  command.int32("batchSize", kFirstBatch);
  add_read_concern(command, mode);
  return command;
}

std::vector<IdRange> cut_into_ranges(Client& client, const Collection& collection,
                                     const ReadMode& mode, const RangeSettings& settings) {
  const std::vector<IdRange> one(1);
  if (settings.bytes == 0 || collection.is_capped() || !collection.has_id_index()) return one;
  const auto size = size_of(client, collection);
  if (!size) return one;
  const std::uint64_t count = std::min(
      {size->bytes / settings.bytes + 1, size->documents / kMinRangeDocuments + 1, kMaxRanges});
  if (count < 2) return one;

  const auto lowest = end_id(client, collection, mode, 1);
  const auto highest = end_id(client, collection, mode, -1);
  if (!lowest || !highest) return one;
  const bool bounds = knows_bounds(client, collection, mode, *lowest);
  const int low_class = filter_class(*lowest);
  if (!bounds && (!settings.filters || low_class == 0 || low_class != filter_class(*highest))) {
    return one;
  }

  auto ids = sampled_ids(client, collection, mode, count);
  if (!ids) ids = walked_ids(client, collection, mode, count, size->documents);
  ids->erase(std::unique(ids->begin(), ids->end()), ids->end());
  std::vector<IdRange> ranges;
  std::optional<Document> from;
  for (const Document& id : *ids) {
    // Only _id: a projection may have kept more on servers that do not know it.
    const auto value = find(id.view(), "_id");
    if (!value) return one;
    const Document to = Document().element(*value);
    ranges.push_back({from, to, !bounds});
    from = to;
  }
  ranges.push_back({from, std::nullopt, !bounds});
  return ranges;
}

std::optional<Timestamp> choose_snapshot_time(Client& client,
                                              const std::vector<Collection>& collections,
                                              std::string& reason) {
  const ServerInfo& server = client.server();
  if (server.set_name.empty() && !server.router) {
    reason = "the server is not a member of a replica set";
    return std::nullopt;
  }
  if (!server.sessions || server.wire_version < kWireOfSnapshotReads) {
    reason = cat("the server (", server.version, ") has no snapshot reads");
    return std::nullopt;
  }
  const auto any = std::find_if(collections.begin(), collections.end(), [&](const auto& one) {
    return !one.is_view() && can_read_at_time(client, one);
  });
  if (any == collections.end()) {
    reason = "there is no collection that can be read at a time of the past";
    return std::nullopt;
  }
  // Source: specifications/sessions/snapshot-sessions: the first read's reply names the time, which
  // later reads give as atClusterTime.
  Document command;
  command.text("find", any->storage_name())
      .int32("limit", 1)
      .boolean("singleBatch", true)
      .document("readConcern", Document().text("level", "snapshot"));
  try {
    const Reply reply = client.command(command);
    const auto at = find_path(reply.view(), {"cursor", "atClusterTime"});
    if (at && at->timestamp()) return at->timestamp();
    reason = "the server does not answer snapshot reads with their time";
  } catch (const ServerError& error) {
    reason = error.message();
  }
  return std::nullopt;
}

bool can_read_at_time(const Client& client, const Collection& collection) {
  return !collection.is_capped() || client.server().wire_version >= kWireOfCappedSnapshots;
}

}  // namespace dbbackup::engine::mongodb
