#include "engine/mysql/connection.hpp"

#include <errmsg.h>
#include <mysql.h>
#include <mysqld_error.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cstring>

#include "util/text.hpp"

namespace dbbackup::engine::mysql {

namespace {
using util::cat;
using util::Error;
using util::ErrorCode;

constexpr unsigned long kMaxPacket = 1UL << 30U;  // the protocol's own limit
constexpr std::chrono::milliseconds kKillInterval{200};
constexpr unsigned kRoundsBeforeShutdown = 10;

// Numbers that only one of the two vendors' headers knows.
// Source: MySQL 8.0 Server Error Message Reference.
constexpr unsigned kMySqlExecutionTimeout = 3024;
constexpr unsigned kMariaDbStatementTimeout = 1969;
constexpr unsigned kBackupLockFailed = 4080;

// Notices a dead peer within a minute or so, although a statement may take hours.
void watch_peer(int socket) {
  const int on = 1;
  const int idle = 30;
  const int interval = 10;
  const int count = 3;
  ::setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
}

struct ResultFree {
  void operator()(MYSQL_RES* result) const { mysql_free_result(result); }
};
using Result = std::unique_ptr<MYSQL_RES, ResultFree>;

// What the local-infile callbacks share. No exception may pass through the library.
struct Source {
  const std::function<std::size_t(char*, std::size_t)>* fill = nullptr;
  std::exception_ptr failure;
};

int source_init(void** state, const char*, void* user) {
  *state = user;
  return 0;
}

int source_read(void* state, char* buffer, unsigned int size) {
  auto* source = static_cast<Source*>(state);
  try {
    return static_cast<int>((*source->fill)(buffer, size));
  } catch (...) {
    source->failure = std::current_exception();
    return -1;
  }
}

void source_end(void*) {}

int source_error(void*, char* message, unsigned int size) {
  if (size > 0) {
    std::strncpy(message, "the rows to load could not be read", size);
    message[size - 1] = '\0';
  }
  return CR_UNKNOWN_ERROR;
}
}  // namespace

util::Error server_error(unsigned number, std::string message, bool stopped) {
  message = util::printable(message);
  switch (number) {
    case ER_QUERY_INTERRUPTED:
    case ER_CONNECTION_KILLED:
      if (stopped) return {ErrorCode::cancelled, "cancelled"};
      return {ErrorCode::unavailable, cat("the server ended the statement: ", message),
              "somebody may have used KILL; try again"};
    case kMariaDbStatementTimeout:
    case kMySqlExecutionTimeout:
      return {ErrorCode::unavailable, message, "the server limits the time of statements"};
    case ER_ACCESS_DENIED_ERROR:
    case ER_ACCESS_DENIED_NO_PASSWORD_ERROR:
      return {ErrorCode::permission_denied, message,
              "check user and password: dbbackupctl database set-password NAME"};
    case ER_DBACCESS_DENIED_ERROR:
    case ER_TABLEACCESS_DENIED_ERROR:
    case ER_COLUMNACCESS_DENIED_ERROR:
    case ER_PROCACCESS_DENIED_ERROR:
    case ER_SPECIFIC_ACCESS_DENIED_ERROR:
      return {ErrorCode::permission_denied, message,
              "dbbackupctl database test NAME lists the privileges that are missing"};
    case ER_OPTION_PREVENTS_STATEMENT:
    case ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION:
      return {ErrorCode::permission_denied, message, "the server does not accept changes"};
    case ER_BAD_DB_ERROR:
    case ER_NO_SUCH_TABLE:
    case ER_BAD_TABLE_ERROR:
      return {ErrorCode::not_found, message};
    case ER_DUP_ENTRY:
      return {ErrorCode::conflict, message,
              "a row with this key is in the target already; --mode replace removes it first"};
    case ER_DB_CREATE_EXISTS:
    case ER_TABLE_EXISTS_ERROR:
      return {ErrorCode::conflict, message};
    case ER_LOCK_WAIT_TIMEOUT:
    case ER_LOCK_DEADLOCK:
    case kBackupLockFailed:
      return {ErrorCode::unavailable, message,
              "another session holds a lock; SHOW PROCESSLIST tells which. The option lock_wait "
              "sets the patience"};
    case ER_TABLE_DEF_CHANGED:
      return {ErrorCode::unavailable, message,
              "a table was altered while the backup began; try again"};
    case ER_CON_COUNT_ERROR:
    case ER_TOO_MANY_USER_CONNECTIONS:
    case ER_USER_LIMIT_REACHED:
    case ER_SERVER_SHUTDOWN:
    case ER_NEW_ABORTING_CONNECTION:
    case ER_NET_READ_ERROR:
    case ER_NET_READ_INTERRUPTED:
    case CR_CONNECTION_ERROR:
    case CR_CONN_HOST_ERROR:
    case CR_UNKNOWN_HOST:
    case CR_SERVER_GONE_ERROR:
    case CR_SERVER_LOST:
    case CR_SERVER_HANDSHAKE_ERR:
      if (stopped) return {ErrorCode::cancelled, "cancelled"};
      return {ErrorCode::unavailable, message, "is the server running and reachable?"};
    case CR_SSL_CONNECTION_ERROR:
      return {ErrorCode::unavailable, message,
              "see the options tls, tls_ca, tls_cert and tls_key of the database"};
    case ER_BINLOG_UNSAFE_ROUTINE:
    case ER_BINLOG_CREATE_ROUTINE_NEED_SUPER:
      return {ErrorCode::permission_denied, message,
              "SET GLOBAL log_bin_trust_function_creators=1 on the server for the time of the "
              "restore, or --option binlog=off"};
    case ER_RECORD_FILE_FULL:
    case ER_DISK_FULL:
      return {ErrorCode::no_space, message};
    case ER_NOT_KEYFILE:
    case ER_CRASHED_ON_USAGE:
    case ER_CRASHED_ON_REPAIR:
    case ER_INDEX_CORRUPT:
      return {ErrorCode::source_damaged, message, "CHECK TABLE and REPAIR TABLE look closer"};
    case CR_NET_PACKET_TOO_LARGE:
    case ER_NET_PACKET_TOO_LARGE:
      return {ErrorCode::io, message, "raise max_allowed_packet on the server"};
    default:
      return {ErrorCode::io, cat(message, " [", number, "]")};
  }
}

std::string quote_name(std::string_view name) {
  std::string quoted = "`";
  for (const char c : name) {
    if (c == '`') quoted += '`';
    quoted += c;
  }
  return quoted + '`';
}

std::string quote_text(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') quoted += '\\';
    if (c == '\0') {
      quoted += "\\0";
    } else {
      quoted += c;
    }
  }
  return quoted + '\'';
}

void Connection::Close::operator()(st_mysql* handle) const { mysql_close(handle); }

Connection::Connection(const Door& door, const std::string& database) : canceller_(door.canceller) {
  const bool tls = door.login.tls != Tls::off;
  try {
    dial(door, database, tls);
  } catch (const Error&) {
    // A server without TLS; everything else fails again.
    if (door.login.tls != Tls::preferred || mysql_errno(handle()) != CR_SSL_CONNECTION_ERROR) throw;
    dial(door, database, false);
  }
  if (door.login.tls >= Tls::required && tls_cipher().empty()) {
    throw Error(ErrorCode::unavailable, "the server offers no TLS, which the option tls asks for");
  }
  const int socket = static_cast<int>(mysql_get_socket(handle()));
  watch_peer(socket);
  if (canceller_) {
    canceller_->add(id(), socket);
    registration_ = std::shared_ptr<void>(
        nullptr, [canceller = canceller_, id = id()](void*) { canceller->remove(id); });
  }
  execute(
      "SET NAMES utf8mb4, SESSION character_set_results=NULL, SESSION time_zone='+00:00', SESSION "
      "sql_mode='', SESSION wait_timeout=86400, SESSION net_write_timeout=3600, SESSION "
      "net_read_timeout=3600, SESSION sql_quote_show_create=1, SESSION "
      "sql_select_limit=18446744073709551615");
  if (!try_execute("SET SESSION max_statement_time=0")) {
    try_execute("SET SESSION max_execution_time=0");
  }
}

void Connection::dial(const Door& door, const std::string& database, bool tls) {
  handle_.reset(mysql_init(nullptr));
  if (!handle_) throw std::bad_alloc();
  MYSQL* mysql = handle();
  const Login& login = door.login;
  const auto seconds = static_cast<unsigned>((login.connect_timeout.count() + 999) / 1000);
  mysql_options(mysql, MYSQL_OPT_CONNECT_TIMEOUT, &seconds);
  mysql_options(mysql, MYSQL_OPT_MAX_ALLOWED_PACKET, &kMaxPacket);
  const unsigned local_infile = 1;
  mysql_options(mysql, MYSQL_OPT_LOCAL_INFILE, &local_infile);
  mysql_options4(mysql, MYSQL_OPT_CONNECT_ATTR_ADD, "program_name", "dbbackup");
  const my_bool enforce = tls && login.tls != Tls::preferred;
  const my_bool verify = login.tls == Tls::verify;
  mysql_options(mysql, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
  if (tls) {
    const auto or_null = [](const std::string& path) {
      return path.empty() ? nullptr : path.c_str();
    };
    mysql_ssl_set(mysql, or_null(login.tls_key), or_null(login.tls_cert), or_null(login.tls_ca),
                  nullptr, nullptr);
    mysql_options(mysql, MYSQL_OPT_SSL_ENFORCE, &enforce);
  }
  const bool by_socket = !login.socket.empty() || (login.host == "localhost" && login.port == 0);
  if (!by_socket) {
    const unsigned tcp = MYSQL_PROTOCOL_TCP;
    mysql_options(mysql, MYSQL_OPT_PROTOCOL, &tcp);
  }
  local_ = by_socket;
  if (mysql_real_connect(mysql, by_socket ? "localhost" : login.host.c_str(), login.user.c_str(),
                         door.password.c_str(), database.empty() ? nullptr : database.c_str(),
                         login.port, login.socket.empty() ? nullptr : login.socket.c_str(),
                         CLIENT_LOCAL_FILES) == nullptr) {
    fail("");
  }
}

bool Connection::stopped() const { return canceller_ && canceller_->stopped(); }

void Connection::fail(std::string_view doing) const {
  const Error error = server_error(mysql_errno(handle()), mysql_error(handle()), stopped());
  if (doing.empty() || error.code() == ErrorCode::cancelled) throw error;
  throw error.with_context(doing);
}

void Connection::send(const std::string& sql) {
  if (stopped()) throw Error(ErrorCode::cancelled, "cancelled");
  if (mysql_real_query(handle(), sql.data(), sql.size()) != 0) fail("");
}

void Connection::execute(const std::string& sql) { query(sql); }

std::vector<Row> Connection::query(const std::string& sql) {
  send(sql);
  std::vector<Row> rows;
  while (true) {
    if (const Result result{mysql_store_result(handle())}) {
      const unsigned columns = mysql_num_fields(result.get());
      while (MYSQL_ROW fields = mysql_fetch_row(result.get())) {
        const unsigned long* lengths = mysql_fetch_lengths(result.get());
        Row& row = rows.emplace_back();
        for (unsigned i = 0; i < columns; ++i) {
          if (fields[i] == nullptr) {
            row.emplace_back();
          } else {
            row.emplace_back(std::string(fields[i], lengths[i]));
          }
        }
      }
    } else if (mysql_field_count(handle()) != 0) {
      fail("");
    }
    const int more = mysql_next_result(handle());
    if (more > 0) fail("");
    if (more < 0) return rows;
  }
}

std::optional<std::string> Connection::value(const std::string& sql) {
  std::vector<Row> rows = query(sql);
  if (rows.empty() || rows.front().empty()) return std::nullopt;
  return std::move(rows.front().front());
}

bool Connection::try_execute(const std::string& sql) {
  try {
    execute(sql);
    return true;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::cancelled || error.code() == ErrorCode::unavailable) throw;
    return false;
  }
}

void Connection::load(const std::string& sql,
                      const std::function<std::size_t(char*, std::size_t)>& fill) {
  Source source;
  source.fill = &fill;
  mysql_set_local_infile_handler(handle(), source_init, source_read, source_end, source_error,
                                 &source);
  try {
    send(sql);
  } catch (...) {
    mysql_set_local_infile_default(handle());
    if (source.failure) std::rethrow_exception(source.failure);
    throw;
  }
  mysql_set_local_infile_default(handle());
}

unsigned Connection::warning_count() const { return mysql_warning_count(handle()); }

std::vector<std::string> Connection::warnings() {
  std::vector<std::string> sentences;
  for (const Row& row : query("SHOW WARNINGS")) {
    sentences.push_back(util::printable(
        cat(row.at(0).value_or(""), " ", row.at(1).value_or(""), ": ", row.at(2).value_or(""))));
  }
  return sentences;
}

std::uint64_t Connection::id() const { return mysql_thread_id(handle()); }

std::string Connection::server_version() const { return mysql_get_server_info(handle()); }

std::string Connection::tls_cipher() const {
  const char* cipher = mysql_get_ssl_cipher(handle());
  return cipher == nullptr ? std::string() : std::string(cipher);
}

Canceller::Canceller(Login login, std::string password, std::stop_token stop)
    : door_{std::move(login), std::move(password), nullptr},
      stop_(std::move(stop)),
      thread_([this](const std::stop_token& end) { watch(end); }) {}

Canceller::~Canceller() {
  thread_.request_stop();
  thread_.join();
}

void Canceller::add(std::uint64_t id, int socket) {
  const std::scoped_lock lock(mutex_);
  sockets_[id] = socket;
}

void Canceller::remove(std::uint64_t id) {
  const std::scoped_lock lock(mutex_);
  sockets_.erase(id);
}

void Canceller::watch(const std::stop_token& end) {
  {
    const std::stop_callback wake(stop_, [this] {
      const std::scoped_lock lock(mutex_);
      wake_.notify_all();
    });
    std::unique_lock lock(mutex_);
    wake_.wait(lock, end, [this] { return stop_.stop_requested(); });
  }
  for (unsigned round = 0; !end.stop_requested(); ++round) {
    kill_all(round);
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, end, kKillInterval, [] { return false; });
  }
}

void Canceller::kill_all(unsigned round) {
  std::vector<std::uint64_t> ids;
  {
    const std::scoped_lock lock(mutex_);
    for (const auto& [id, socket] : sockets_) ids.push_back(id);
    if (round >= kRoundsBeforeShutdown) {
      for (const auto& [id, socket] : sockets_) ::shutdown(socket, SHUT_RDWR);
      return;
    }
  }
  if (ids.empty()) return;
  try {
    Connection killer(door_, "");
    for (const std::uint64_t id : ids) killer.try_execute(cat("KILL QUERY ", id));
  } catch (const Error&) {
    // Out of connections, or the server is gone: the shutdown of the sockets will do.
  }
}

}  // namespace dbbackup::engine::mysql
