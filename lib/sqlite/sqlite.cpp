#include "sqlite/sqlite.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <map>
#include <new>
#include <utility>

#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::sqlite {

namespace {
using util::cat;
using util::Error;
using util::ErrorCode;

ErrorCode code_of(int status, int error_number) {
  switch (status &
          0xff) {  // Source: sqlite.org/rescode.html: the low byte is the primary result code
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
      return ErrorCode::unavailable;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return ErrorCode::source_damaged;
    case SQLITE_FULL:
      return ErrorCode::no_space;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return ErrorCode::permission_denied;
    case SQLITE_INTERRUPT:
      return ErrorCode::cancelled;
    case SQLITE_CONSTRAINT:
      return ErrorCode::conflict;
    case SQLITE_NOMEM:
    case SQLITE_MISUSE:
      return ErrorCode::internal;
    case SQLITE_CANTOPEN:
    case SQLITE_IOERR:
      return error_number == 0 ? ErrorCode::io : util::system_error("", error_number).code();
    default:
      return ErrorCode::io;
  }
}

std::string hint_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::unavailable:
      return "another process holds a lock on the database; try again or raise the busy timeout";
    case ErrorCode::source_damaged:
      return "run `sqlite3 FILE 'PRAGMA integrity_check'`; recover it with `.recover` or restore a "
             "backup";
    case ErrorCode::no_space:
      return "free some space or raise the quota, then run it again";
    case ErrorCode::permission_denied:
      return "check the owner and mode of the file and its folder; under systemd see "
             "ReadWritePaths=";
    default:
      return {};
  }
}

std::string path_of(sqlite3* database) {
  const char* path = sqlite3_db_filename(database, "main");
  return path == nullptr || *path == '\0' ? ":memory:" : path;
}

// Reads the connection's error state; must run before any other call on it.
Error error_of(sqlite3* database, int status, std::string_view path, std::string_view doing) {
  // Only these two carry a fresh errno; for others it may be stale.
  const int primary = status & 0xff;
  const bool system = primary == SQLITE_CANTOPEN || primary == SQLITE_IOERR;
  const int error_number = system && database != nullptr ? sqlite3_system_errno(database) : 0;
  std::string reason = database != nullptr ? sqlite3_errmsg(database) : sqlite3_errstr(status);
  if (error_number != 0) {
    reason = util::system_error(reason, error_number).message();
  }
  const ErrorCode code = code_of(status, error_number);
  return {code, cat("cannot ", doing, " ", path, ": ", reason), hint_of(code)};
}

int open_flags(OpenMode mode) {
  // One thread at a time uses a connection, so SQLite's per-connection mutex would only cost time.
  constexpr int kCommon = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  switch (mode) {
    case OpenMode::read_only:
      return kCommon | SQLITE_OPEN_READONLY;
    case OpenMode::read_write:
      return kCommon | SQLITE_OPEN_READWRITE;
    case OpenMode::create:
      return kCommon | SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  }
  return kCommon;
}

std::string doubled(std::string_view text, char quote) {
  std::string quoted(1, quote);
  for (const char c : text) {
    if (c == quote) quoted += quote;
    quoted += c;
  }
  quoted += quote;
  return quoted;
}

ValueType type_of(int sqlite_type) {
  switch (sqlite_type) {
    case SQLITE_INTEGER:
      return ValueType::integer;
    case SQLITE_FLOAT:
      return ValueType::real;
    case SQLITE_TEXT:
      return ValueType::text;
    case SQLITE_BLOB:
      return ValueType::blob;
    default:
      return ValueType::null;
  }
}
}  // namespace

// Sleeps in growing steps and adds them up, so that no clock is needed.
struct Connection::BusyWait {
  util::Milliseconds timeout;
  std::stop_token stop;
  util::Milliseconds waited{0};

  static int handle(void* self, int attempt) {
    auto& wait = *static_cast<BusyWait*>(self);
    if (attempt == 0) wait.waited = util::Milliseconds(0);
    if (wait.stop.stop_requested() || wait.waited >= wait.timeout) return 0;
    const int step = std::min(1 + attempt * 2, 50);
    sqlite3_sleep(step);
    wait.waited += util::Milliseconds(step);
    return 1;
  }
};

struct Connection::Kept {
  std::size_t most = 0;
  std::map<std::string, sqlite3_stmt*, std::less<>> idle;

  Kept() = default;
  Kept(const Kept&) = delete;
  Kept& operator=(const Kept&) = delete;
  ~Kept() {
    for (const auto& [sql, handle] : idle) sqlite3_finalize(handle);
  }
  sqlite3_stmt* take(std::string_view sql) {
    const auto found = idle.find(sql);
    if (found == idle.end()) return nullptr;
    sqlite3_stmt* handle = found->second;
    idle.erase(found);
    return handle;
  }
};

Connection::Connection(const std::string& path, OpenMode mode, const std::string& vfs)
    : path_(path) {
  const int status = sqlite3_open_v2(path.c_str(), &handle_, open_flags(mode),
                                     vfs.empty() ? nullptr : vfs.c_str());
  if (status == SQLITE_OK) return;
  const Error error = error_of(handle_, status, path_, "open");
  sqlite3_close_v2(std::exchange(handle_, nullptr));
  throw error;
}

Connection::Connection(Connection&& other) noexcept
    : path_(std::move(other.path_)),
      handle_(std::exchange(other.handle_, nullptr)),
      busy_wait_(std::move(other.busy_wait_)),
      kept_(std::move(other.kept_)) {}

Connection& Connection::operator=(Connection&& other) noexcept {
  if (this != &other) {
    kept_ = std::move(other.kept_);  // finalizes its own before they lose their connection
    sqlite3_close_v2(handle_);
    path_ = std::move(other.path_);
    handle_ = std::exchange(other.handle_, nullptr);
    busy_wait_ = std::move(other.busy_wait_);
  }
  return *this;
}

// close_v2 waits for statements that are still alive: the order in which members go does not
// matter.
Connection::~Connection() {
  kept_.reset();
  sqlite3_close_v2(handle_);
}

void Connection::execute(std::string_view sql) {
  const int status = sqlite3_exec(handle_, std::string(sql).c_str(), nullptr, nullptr, nullptr);
  if (status != SQLITE_OK) throw error_of(handle_, status, path_, "run a statement on");
}

Statement Connection::prepare(std::string_view sql) { return {*this, sql}; }

void Connection::keep_statements(std::size_t most) {
  kept_ = std::make_shared<Kept>();
  kept_->most = most;
}

void Connection::set_busy_timeout(util::Milliseconds timeout) {
  sqlite3_busy_timeout(handle_, static_cast<int>(timeout.count()));
}

void Connection::set_busy_timeout(util::Milliseconds timeout, std::stop_token stop) {
  auto wait = std::make_unique<BusyWait>(BusyWait{timeout, std::move(stop)});
  sqlite3_busy_handler(handle_, BusyWait::handle, wait.get());
  busy_wait_ = std::move(wait);
}

void Connection::keep_wal_on_close() {
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
}

void Connection::disable_triggers() {
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
}

std::int64_t Connection::changes() const { return sqlite3_changes64(handle_); }
std::int64_t Connection::last_insert_rowid() const { return sqlite3_last_insert_rowid(handle_); }
bool Connection::in_transaction() const { return sqlite3_get_autocommit(handle_) == 0; }
void Connection::interrupt() { sqlite3_interrupt(handle_); }

Statement::Statement(Connection& connection, std::string_view sql)
    : database_(connection.handle()), kept_(connection.kept_) {
  if (kept_ && (handle_ = kept_->take(sql)) != nullptr) return;
  const char* tail = nullptr;
  const int status =
      sqlite3_prepare_v3(database_, sql.data(), static_cast<int>(sql.size()), 0, &handle_, &tail);
  if (status != SQLITE_OK) {
    throw error_of(database_, status, connection.path(), "prepare a statement on");
  }
  const auto rest = util::trim(sql.substr(static_cast<std::size_t>(tail - sql.data())));
  if (handle_ == nullptr || !rest.empty()) {
    sqlite3_finalize(std::exchange(handle_, nullptr));
    throw Error(ErrorCode::usage,
                cat("not exactly one SQL statement for ", connection.path(), ": ", sql));
  }
}

Statement::Statement(Statement&& other) noexcept
    : database_(std::exchange(other.database_, nullptr)),
      handle_(std::exchange(other.handle_, nullptr)),
      kept_(std::move(other.kept_)) {}

Statement& Statement::operator=(Statement&& other) noexcept {
  if (this != &other) {
    give_back();
    database_ = std::exchange(other.database_, nullptr);
    handle_ = std::exchange(other.handle_, nullptr);
    kept_ = std::move(other.kept_);
  }
  return *this;
}

Statement::~Statement() { give_back(); }

// To those that are kept, or to its end.
void Statement::give_back() noexcept {
  if (handle_ == nullptr) return;
  if (kept_ && kept_->idle.size() < kept_->most) {
    reset();
    try {
      if (kept_->idle.emplace(sqlite3_sql(handle_), handle_).second) {
        handle_ = nullptr;
        return;
      }
    } catch (const std::bad_alloc&) {
      // Then it is not kept.
    }
  }
  sqlite3_finalize(std::exchange(handle_, nullptr));
}

void Statement::check(int status, const char* doing) const {
  if (status != SQLITE_OK) throw error_of(database_, status, path_of(database_), doing);
}

Statement& Statement::bind(int index, std::int64_t value) {
  check(sqlite3_bind_int64(handle_, index, value), "bind a parameter for");
  return *this;
}

Statement& Statement::bind(int index, double value) {
  check(sqlite3_bind_double(handle_, index, value), "bind a parameter for");
  return *this;
}

// A null pointer would bind NULL, but an empty view is an empty text or blob.
Statement& Statement::bind(int index, std::string_view value) {
  const char* data = value.data() == nullptr ? "" : value.data();
  check(sqlite3_bind_text64(handle_, index, data, value.size(), SQLITE_TRANSIENT, SQLITE_UTF8),
        "bind a parameter for");
  return *this;
}

Statement& Statement::bind(int index, util::ByteView value) {
  const void* data = value.data() == nullptr ? static_cast<const void*>("") : value.data();
  check(sqlite3_bind_blob64(handle_, index, data, value.size(), SQLITE_TRANSIENT),
        "bind a parameter for");
  return *this;
}

Statement& Statement::bind_null(int index) {
  check(sqlite3_bind_null(handle_, index), "bind a parameter for");
  return *this;
}

Statement& Statement::bind(int index, const std::optional<std::string>& value) {
  return value ? bind(index, std::string_view(*value)) : bind_null(index);
}

Statement& Statement::bind(int index, const std::optional<std::int64_t>& value) {
  return value ? bind(index, *value) : bind_null(index);
}

bool Statement::step() {
  const int status = sqlite3_step(handle_);
  if (status == SQLITE_ROW) return true;
  if (status == SQLITE_DONE) return false;
  const Error error = error_of(database_, status, path_of(database_), "run a statement on");
  sqlite3_reset(handle_);  // a failed statement must not keep its locks
  throw error;
}

void Statement::run() {
  while (step()) {
  }
  reset();
}

void Statement::reset() {
  sqlite3_reset(handle_);
  sqlite3_clear_bindings(handle_);
}

int Statement::column_count() const { return sqlite3_column_count(handle_); }

std::string Statement::column_name(int index) const {
  const char* name = sqlite3_column_name(handle_, index);
  return name == nullptr ? std::string() : std::string(name);
}

// sqlite3_column_value() spares the lookup of the column in every further call. Its result is
// "unprotected", which matters only to connections shared between threads, and ours never are.
Value Statement::value(int index) const {
  sqlite3_value* column = sqlite3_column_value(handle_, index);
  Value value;
  value.type = type_of(sqlite3_value_type(column));
  switch (value.type) {
    case ValueType::integer:
      value.integer = sqlite3_value_int64(column);
      break;
    case ValueType::real:
      value.real = sqlite3_value_double(column);
      break;
    case ValueType::text: {
      const auto* data = reinterpret_cast<const char*>(sqlite3_value_text(column));
      if (data != nullptr) {
        value.bytes = {data, static_cast<std::size_t>(sqlite3_value_bytes(column))};
      }
      break;
    }
    case ValueType::blob: {
      const auto* data = static_cast<const char*>(sqlite3_value_blob(column));
      if (data != nullptr) {
        value.bytes = {data, static_cast<std::size_t>(sqlite3_value_bytes(column))};
      }
      break;
    }
    case ValueType::null:
      break;
  }
  return value;
}

ValueType Statement::type(int index) const { return type_of(sqlite3_column_type(handle_, index)); }

std::int64_t Statement::integer(int index) const { return sqlite3_column_int64(handle_, index); }
double Statement::real(int index) const { return sqlite3_column_double(handle_, index); }

std::string_view Statement::text(int index) const {
  const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(handle_, index));
  if (data == nullptr) return {};
  return {data, static_cast<std::size_t>(sqlite3_column_bytes(handle_, index))};
}

util::ByteView Statement::blob(int index) const {
  const auto* data = static_cast<const std::uint8_t*>(sqlite3_column_blob(handle_, index));
  if (data == nullptr) return {};
  return {data, static_cast<std::size_t>(sqlite3_column_bytes(handle_, index))};
}

std::optional<std::string> Statement::optional_string(int index) const {
  if (is_null(index)) return std::nullopt;
  return string(index);
}

std::optional<std::int64_t> Statement::optional_integer(int index) const {
  if (is_null(index)) return std::nullopt;
  return integer(index);
}

bool Statement::is_null(int index) const { return type(index) == ValueType::null; }

Transaction::Transaction(Connection& connection, bool immediate) : connection_(connection) {
  connection_.execute(immediate ? "BEGIN IMMEDIATE" : "BEGIN");
}

// Some errors roll back by themselves, hence the question.
Transaction::~Transaction() {
  if (open_ && connection_.in_transaction()) {
    sqlite3_exec(connection_.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
  }
}

void Transaction::commit() {
  connection_.execute("COMMIT");
  open_ = false;
}

std::string quote_identifier(std::string_view name) { return doubled(name, '"'); }
std::string quote_text(std::string_view text) { return doubled(text, '\''); }

std::string library_version() { return sqlite3_libversion(); }

}  // namespace dbbackup::sqlite
