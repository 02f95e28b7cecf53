#include "catalog/catalog.hpp"

#include "catalog/impl.hpp"
#include "catalog/migrations.hpp"
#include "catalog/private_copy.hpp"
#include "catalog/settings.hpp"
#include "crypto/cipher.hpp"
#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::catalog {

namespace fs = std::filesystem;
using sqlite::Connection;
using sqlite::OpenMode;
using sqlite::Statement;
using util::cat;
using util::Error;
using util::ErrorCode;

namespace {
// Our own threads never wait for each other here; this is for a person with the sqlite3 shell.
constexpr util::Milliseconds kBusyTimeout{10000};
// More than the different statements the members of Catalog make.
constexpr std::size_t kStatements = 200;
constexpr std::string_view kKeyCheck = "catalog.key_check";

Connection open(const fs::path& file) {
  Connection db(file.string(), OpenMode::read_write);
  db.set_busy_timeout(kBusyTimeout);
  return db;
}

// Damage is found at start, where somebody looks, and not when a backup needs the page.
void require_sound(Connection& db, const fs::path& file) {
  Statement statement = db.prepare("PRAGMA quick_check(1)");
  if (statement.step() && statement.text(0) == "ok") return;
  throw Error(ErrorCode::source_damaged, cat(file.string(), ": ", statement.text(0)));
}

// Space that trimming frees goes back to the disk in small steps. The mode is a matter of the
// file's layout, so a file of an older version is written anew, once.
void use_incremental_vacuum(Connection& db) {
  constexpr std::int64_t kIncremental = 2;  // Source: sqlite.org/pragma.html#pragma_auto_vacuum
  Statement statement = db.prepare("PRAGMA auto_vacuum");
  statement.step();
  if (statement.integer(0) == kIncremental) return;
  statement.reset();
  db.execute("PRAGMA auto_vacuum=INCREMENTAL; VACUUM");
}

void use_wal(Connection& db, const fs::path& file) {
  Statement statement = db.prepare("PRAGMA journal_mode=WAL");
  if (statement.step() && statement.text(0) == "wal") return;
  throw Error(ErrorCode::io, cat("control database ", file.string(), " cannot use a WAL"),
              "keep the state folder on a local file system");
}

Connection open_writer(const fs::path& file) {
  make_private_file(file);
  try {
    Connection db = open(file);
    require_sound(db, file);
    apply(db, file, migrations());
    use_incremental_vacuum(db);
    use_wal(db, file);
    db.execute("PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON");
    db.keep_statements(kStatements);
    return db;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::source_damaged) throw;
    throw Error(ErrorCode::config_invalid,
                cat("the control database is damaged: ", error.message()),
                cat("put a copy in its place, or move ", file.filename().string(),
                    " away, add the repositories again and rescan them: no artifact is lost"));
  }
}

Connection open_log_writer(const fs::path& file) {
  Connection db = open(file);
  db.execute("PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON");
  db.keep_statements(kStatements);
  return db;
}

Connection open_reader(const fs::path& file) {
  Connection db = open(file);
  db.execute("PRAGMA query_only=ON");
  db.keep_statements(kStatements);
  return db;
}
}  // namespace

Catalog::Impl::Impl(const fs::path& path, const crypto::Secret& daemon_key,
                    const util::Clock& wall_clock)
    : file(fs::absolute(path)),
      clock(wall_clock),
      box(daemon_key),
      ids(wall_clock),
      writer(open_writer(file)),
      log_writer(open_log_writer(file)),
      reader(open_reader(file)) {}

// The first start seals a word; a later start that cannot open it was given another key, and would
// find out about it at night.
void Catalog::Impl::check_daemon_key() {
  write([&](Connection& db) {
    const std::optional<std::string> stored = read_setting(db, kKeyCheck);
    if (!stored) {
      const util::Bytes sealed =
          box.seal("settings", kKeyCheck, crypto::Secret::from_text("control"));
      write_setting(db, kKeyCheck, util::to_hex(sealed));
      return;
    }
    const std::optional<util::Bytes> sealed = util::from_hex(*stored);
    if (sealed && box.open("settings", kKeyCheck, *sealed)) return;
    throw Error(ErrorCode::config_invalid,
                cat("the daemon's key file is not the one that control database ", file.string(),
                    " was made with"),
                cat("put the old key file back; if it is lost, move ", file.filename().string(),
                    " away and add the databases and repositories again (with a passphrase or "
                    "recovery key)"));
  });
}

Catalog::Catalog(const fs::path& file, const crypto::Secret& daemon_key, const util::Clock& clock)
    : impl_(std::make_unique<Impl>(file, daemon_key, clock)) {
  impl_->check_daemon_key();
}

Catalog::Catalog(const fs::path& file, Foreign, const util::Clock& clock)
    : impl_(std::make_unique<Impl>(file, crypto::random_key(), clock)) {}

Catalog::~Catalog() = default;

void Catalog::copy_to(const fs::path& file) {
  // A connection of its own: in WAL mode a long read disturbs nobody.
  Connection db = open(impl_->file);
  write_private_copy(db, fs::absolute(file));
}

}  // namespace dbbackup::catalog
