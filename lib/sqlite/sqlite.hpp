// SQLite in RAII clothes: connection, statement, transaction. Used for our own databases (catalog,
// chunk index) and, through page_stream.hpp, for the databases of users.
//
// Threads: a Connection and its Statements belong to one thread at a time; interrupt() may come
// from any thread. Errors: every failure becomes util::Error with the database's path and SQLite's
// own words: unavailable for busy and locked, source_damaged for corrupt and not-a-database,
// no_space for full, permission_denied for read-only, cancelled after interrupt(), conflict for a
// violated constraint, what errno says for a file that cannot be opened (not_found, ...), usage
// when prepare() does not get exactly one statement, io otherwise.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "util/bytes.hpp"
#include "util/time.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace dbbackup::sqlite {

enum class OpenMode { read_only, read_write, create };

class Statement;

class Connection {
 public:
  // `vfs` names a registered VFS; empty is the default one.
  Connection(const std::string& path, OpenMode mode, const std::string& vfs = {});
  Connection(Connection&& other) noexcept;
  Connection& operator=(Connection&& other) noexcept;
  ~Connection();

  // One or more statements without results.
  void execute(std::string_view sql);
  Statement prepare(std::string_view sql);
  // From now on statements that are done with are kept for the next prepare() of the same text, at
  // most this many: for a connection that says the same few things all day.
  void keep_statements(std::size_t most);
  void set_busy_timeout(util::Milliseconds timeout);
  // As above, and the wait ends (with `unavailable`) as soon as a stop is requested.
  void set_busy_timeout(util::Milliseconds timeout, std::stop_token stop);
  // Closing the last connection leaves the WAL as it is instead of copying it into the database.
  void keep_wal_on_close();
  // Statements of this connection fire no triggers.
  void disable_triggers();
  std::int64_t changes() const;
  std::int64_t last_insert_rowid() const;
  bool in_transaction() const;
  void interrupt();  // Threads: any
  const std::string& path() const { return path_; }
  sqlite3* handle() const { return handle_; }  // for this room's own sources

 private:
  friend class Statement;
  struct BusyWait;
  struct Kept;
  std::string path_;
  sqlite3* handle_ = nullptr;
  std::unique_ptr<BusyWait> busy_wait_;
  std::shared_ptr<Kept> kept_;  // shared with the statements, which may outlive the connection
};

enum class ValueType { integer, real, text, blob, null };

// One column of the current row in a single call, for loops over millions of them. `bytes` is the
// content of text and blob.
struct Value {
  ValueType type = ValueType::null;
  std::int64_t integer = 0;
  double real = 0;
  std::string_view bytes;
};

class Statement {
 public:
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&& other) noexcept;
  ~Statement();

  // Binds from left to right; parameters are numbered from 1. Text and blobs are copied.
  Statement& bind(int index, std::int64_t value);
  Statement& bind(int index, double value);
  Statement& bind(int index, std::string_view value);
  Statement& bind(int index, const std::string& value) {
    return bind(index, std::string_view(value));
  }
  Statement& bind(int index, const char* value) { return bind(index, std::string_view(value)); }
  Statement& bind(int index, std::integral auto value) {
    return bind(index, static_cast<std::int64_t>(value));
  }
  Statement& bind(int index, util::ByteView value);
  Statement& bind_null(int index);
  Statement& bind(int index, const std::optional<std::string>& value);
  Statement& bind(int index, const std::optional<std::int64_t>& value);

  bool step();   // true: a row is there
  void run();    // steps to the end and resets
  void reset();  // keeps nothing bound

  int column_count() const;
  std::string column_name(int index) const;
  Value value(int index) const;
  ValueType type(int index) const;
  std::int64_t integer(int index) const;
  double real(int index) const;
  // Views are valid until the next step(), reset() or conversion of the same column.
  std::string_view text(int index) const;
  util::ByteView blob(int index) const;
  std::string string(int index) const { return std::string(text(index)); }
  std::optional<std::string> optional_string(int index) const;
  std::optional<std::int64_t> optional_integer(int index) const;
  bool is_null(int index) const;

 private:
  friend class Connection;
  Statement(Connection& connection, std::string_view sql);
  void check(int status, const char* doing) const;
  void give_back() noexcept;
  sqlite3* database_ = nullptr;
  sqlite3_stmt* handle_ = nullptr;
  std::shared_ptr<Connection::Kept> kept_;
};

// BEGIN IMMEDIATE ... COMMIT; rolls back when it goes without commit().
class Transaction {
 public:
  explicit Transaction(Connection& connection, bool immediate = true);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  void commit();

 private:
  Connection& connection_;
  bool open_ = true;
};

// `name` as an SQL identifier in double quotes, and `text` as a string literal.
std::string quote_identifier(std::string_view name);
std::string quote_text(std::string_view text);

std::string library_version();

}  // namespace dbbackup::sqlite
