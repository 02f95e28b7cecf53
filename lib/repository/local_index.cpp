#include "repository/local_index.hpp"

#include <algorithm>
#include <filesystem>

#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::repository {

using sqlite::Connection;
using sqlite::Statement;
using sqlite::Transaction;
using util::cat;

namespace {

constexpr std::int64_t kSchema = 2;

// Numbers of chunks stay dense because SQLite gives a freed largest rowid again.
constexpr std::string_view kTables = R"(
CREATE TABLE about(schema INTEGER NOT NULL, repository TEXT NOT NULL);
CREATE TABLE segments(name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE packs(number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, size INTEGER NOT NULL,
                   listed INTEGER NOT NULL, state INTEGER NOT NULL);
CREATE TABLE chunks(number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, pack INTEGER NOT NULL,
                    offset INTEGER NOT NULL, stored INTEGER NOT NULL, plain INTEGER NOT NULL,
                    kind INTEGER NOT NULL);
CREATE TABLE tags(tag BLOB PRIMARY KEY, chunk BLOB NOT NULL) WITHOUT ROWID;
)";

bool belongs_to(Connection& connection, const std::string& repository_id) {
  Statement tables = connection.prepare("SELECT count(*) FROM sqlite_schema WHERE name = 'about'");
  if (!tables.step() || tables.integer(0) == 0) return false;
  Statement about = connection.prepare("SELECT schema, repository FROM about");
  return about.step() && about.integer(0) == kSchema && about.text(1) == repository_id;
}

template <std::size_t N>
void read_blob(util::ByteView blob, std::array<std::uint8_t, N>& out) {
  std::copy_n(blob.begin(), std::min(blob.size(), N), out.begin());
}

}  // namespace

LocalIndex::LocalIndex(const std::string& path, const std::string& repository_id) {
  try {
    open(path, repository_id);
    return;
  } catch (const util::Error& error) {
    if (error.code() != util::ErrorCode::source_damaged || path.empty()) throw;
  }
  insert_absent_.reset();
  insert_.reset();
  find_by_tag_.reset();
  find_.reset();
  connection_.reset();
  for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(path + suffix);
  open(path, repository_id);
}

void LocalIndex::open(const std::string& path, const std::string& repository_id) {
  connection_.emplace(path.empty() ? ":memory:" : path, sqlite::OpenMode::create);
  connection_->set_busy_timeout(util::Seconds(10));
  connection_->execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;");
  if (!belongs_to(*connection_, repository_id)) {
    Transaction transaction(*connection_);
    for (const char* table : {"about", "segments", "packs", "chunks", "tags"}) {
      connection_->execute(cat("DROP TABLE IF EXISTS ", table));
    }
    connection_->execute(kTables);
    Statement about = connection_->prepare("INSERT INTO about VALUES (?, ?)");
    about.bind(1, kSchema).bind(2, std::string_view(repository_id)).run();
    transaction.commit();
  }
  find_.emplace(connection_->prepare(
      "SELECT c.number, c.pack, p.id, p.state, c.kind, c.offset, c.stored, c.plain "
      "FROM chunks c JOIN packs p ON p.number = c.pack WHERE c.id = ?"));
  find_by_tag_.emplace(connection_->prepare(
      "SELECT c.id FROM tags t JOIN chunks c ON c.id = t.chunk JOIN packs p ON p.number = c.pack "
      "WHERE t.tag = ? AND p.state = 0"));
  const auto insert_or = [&](std::string_view conflict) {
    return connection_->prepare(cat("INSERT OR ", conflict,
                                    " INTO chunks(id, pack, offset, stored, plain, kind) "
                                    "VALUES (?, ?, ?, ?, ?, ?)"));
  };
  insert_.emplace(insert_or("REPLACE"));
  insert_absent_.emplace(insert_or("IGNORE"));
}

std::optional<Location> LocalIndex::find(const ChunkId& id) {
  const std::scoped_lock lock(mutex_);
  find_->bind(1, util::ByteView(id));
  std::optional<Location> found;
  if (find_->step()) {
    Location& location = found.emplace();
    location.number = find_->integer(0);
    location.pack_number = find_->integer(1);
    read_blob(find_->blob(2), location.pack);
    location.state = static_cast<PackState>(find_->integer(3));
    location.entry.id = id;
    location.entry.kind = static_cast<std::uint8_t>(find_->integer(4));
    location.entry.offset = static_cast<std::uint32_t>(find_->integer(5));
    location.entry.stored = static_cast<std::uint32_t>(find_->integer(6));
    location.entry.plain = static_cast<std::uint32_t>(find_->integer(7));
  }
  find_->reset();
  return found;
}

std::optional<ChunkId> LocalIndex::find_by_tag(const crypto::Tag& tag) {
  const std::scoped_lock lock(mutex_);
  find_by_tag_->bind(1, util::ByteView(tag));
  std::optional<ChunkId> found;
  if (find_by_tag_->step()) read_blob(find_by_tag_->blob(0), found.emplace());
  find_by_tag_->reset();
  return found;
}

void LocalIndex::remember_tags(const std::vector<std::pair<crypto::Tag, ChunkId>>& tags) {
  if (tags.empty()) return;
  const std::scoped_lock lock(mutex_);
  Transaction transaction(*connection_);
  Statement insert = connection_->prepare("INSERT OR REPLACE INTO tags VALUES (?, ?)");
  for (const auto& [tag, chunk] : tags) {
    insert.bind(1, util::ByteView(tag)).bind(2, util::ByteView(chunk)).run();
  }
  transaction.commit();
}

bool LocalIndex::holds(const ChunkId& id) {
  const std::optional<Location> location = find(id);
  return location && location->state == PackState::usable;
}

void LocalIndex::insert_pack(const PackContents& contents, bool listed, PackState state) {
  Statement pack = connection_->prepare(
      "INSERT INTO packs(id, size, listed, state) VALUES (?, ?, ?, ?) "
      "ON CONFLICT(id) DO UPDATE SET listed = max(listed, excluded.listed) RETURNING number");
  pack.bind(1, util::ByteView(contents.id))
      .bind(2, static_cast<std::int64_t>(contents.size))
      .bind(3, static_cast<std::int64_t>(listed))
      .bind(4, static_cast<std::int64_t>(state));
  pack.step();
  const std::int64_t number = pack.integer(0);
  pack.reset();
  // What was repacked has two copies until the condemned one is deleted.
  Statement& insert = state == PackState::condemned ? *insert_absent_ : *insert_;
  for (const PackEntry& entry : contents.entries) {
    insert.bind(1, util::ByteView(entry.id)).bind(2, number);
    insert.bind(3, std::int64_t{entry.offset}).bind(4, std::int64_t{entry.stored});
    insert.bind(5, std::int64_t{entry.plain}).bind(6, std::int64_t{entry.kind});
    insert.run();
  }
}

void LocalIndex::add_pack(const PackContents& contents, bool listed, PackState state) {
  const std::scoped_lock lock(mutex_);
  Transaction transaction(*connection_);
  insert_pack(contents, listed, state);
  transaction.commit();
}

void LocalIndex::run(std::string_view sql, util::ByteView blob) {
  connection_->prepare(sql).bind(1, blob).run();
}

void LocalIndex::remove_packs(const std::vector<PackId>& ids) {
  if (ids.empty()) return;
  const std::scoped_lock lock(mutex_);
  Transaction transaction(*connection_);
  connection_->execute("CREATE TEMP TABLE IF NOT EXISTS gone(number INTEGER PRIMARY KEY)");
  for (const PackId& id : ids) run("INSERT INTO gone SELECT number FROM packs WHERE id = ?", id);
  // One pass over the chunks; an index by pack would cost every backup to serve a rare prune.
  connection_->execute(
      "DELETE FROM chunks WHERE pack IN gone; DELETE FROM packs WHERE number IN gone; "
      "DELETE FROM gone; DELETE FROM tags WHERE chunk NOT IN (SELECT id FROM chunks)");
  transaction.commit();
}

void LocalIndex::set_state(const PackId& id, PackState state) {
  const std::scoped_lock lock(mutex_);
  run(cat("UPDATE packs SET state = ", static_cast<int>(state), " WHERE id = ?"), id);
}

void LocalIndex::set_lost(const PackId& id) {
  const std::scoped_lock lock(mutex_);
  run("UPDATE packs SET state = 2 WHERE state = 0 AND id = ?", id);
}

void LocalIndex::set_unlisted(const std::vector<PackId>& ids) {
  const std::scoped_lock lock(mutex_);
  Transaction transaction(*connection_);
  for (const PackId& id : ids) run("UPDATE packs SET listed = 0 WHERE id = ?", id);
  transaction.commit();
}

std::vector<PackRow> LocalIndex::packs() {
  const std::scoped_lock lock(mutex_);
  Statement all = connection_->prepare("SELECT number, id, size, listed, state FROM packs");
  std::vector<PackRow> rows;
  while (all.step()) {
    PackRow& row = rows.emplace_back();
    row.number = all.integer(0);
    read_blob(all.blob(1), row.id);
    row.size = static_cast<std::uint64_t>(all.integer(2));
    row.listed = all.integer(3) != 0;
    row.state = static_cast<PackState>(all.integer(4));
  }
  return rows;
}

std::set<std::string> LocalIndex::segments() {
  const std::scoped_lock lock(mutex_);
  Statement all = connection_->prepare("SELECT name FROM segments");
  std::set<std::string> names;
  while (all.step()) names.insert(all.string(0));
  return names;
}

void LocalIndex::add_segment(const std::string& name, const std::vector<PackContents>& packs,
                             const std::set<PackId>& condemned) {
  const std::scoped_lock lock(mutex_);
  Transaction transaction(*connection_);
  for (const PackContents& pack : packs) {
    insert_pack(pack, true, condemned.contains(pack.id) ? PackState::condemned : PackState::usable);
  }
  run("INSERT OR IGNORE INTO segments SELECT CAST(? AS TEXT)", util::as_bytes(name));
  transaction.commit();
}

void LocalIndex::note_segment(const std::string& name, const std::vector<PackId>& packs) {
  const std::scoped_lock lock(mutex_);
  Transaction transaction(*connection_);
  for (const PackId& id : packs) run("UPDATE packs SET listed = 1 WHERE id = ?", id);
  run("INSERT OR IGNORE INTO segments SELECT CAST(? AS TEXT)", util::as_bytes(name));
  transaction.commit();
}

void LocalIndex::remove_segment(const std::string& name) {
  const std::scoped_lock lock(mutex_);
  run("DELETE FROM segments WHERE name = CAST(? AS TEXT)", util::as_bytes(name));
}

void LocalIndex::clear() {
  const std::scoped_lock lock(mutex_);
  Transaction transaction(*connection_);
  connection_->execute(
      "DELETE FROM chunks; DELETE FROM packs; DELETE FROM segments; DELETE FROM tags");
  transaction.commit();
}

std::int64_t LocalIndex::largest_number() {
  const std::scoped_lock lock(mutex_);
  Statement largest = connection_->prepare("SELECT max(number) FROM chunks");
  return largest.step() ? largest.optional_integer(0).value_or(0) : 0;
}

void LocalIndex::each_chunk(
    const std::function<void(std::int64_t, std::int64_t, std::uint32_t)>& each) {
  const std::scoped_lock lock(mutex_);
  Statement all = connection_->prepare("SELECT number, pack, stored FROM chunks");
  while (all.step()) {
    each(all.integer(0), all.integer(1), static_cast<std::uint32_t>(all.integer(2)));
  }
}

}  // namespace dbbackup::repository
