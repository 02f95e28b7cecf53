#include "engine/postgresql/connection.hpp"

#include <libpq-fe.h>
#include <poll.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <new>
#include <utility>

#include "engine/postgresql/server_error.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::postgresql {

namespace {
using util::cat;
using util::Error;
using util::ErrorCode;
using SteadyClock = std::chrono::steady_clock;

constexpr int kPollMilliseconds = 200;  // how long a stop may go unseen
constexpr std::chrono::seconds kPatienceAfterCancel{2};
constexpr std::chrono::seconds kConnectPatience{15};
constexpr std::size_t kMaxNotices = 50;

void keep_notice(void* notices, const char* message) {
  auto& list = *static_cast<std::vector<std::string>*>(notices);
  if (list.size() >= kMaxNotices) return;
  try {
    list.push_back(util::printable(util::trim(message)));
  } catch (const std::bad_alloc&) {
    // A notice less; an exception must not pass through libpq.
  }
}

Error cancelled() { return {ErrorCode::cancelled, "cancelled"}; }

bool poll_once(int fd, bool for_write, int milliseconds) {
  pollfd wanted{fd, static_cast<short>(for_write ? POLLIN | POLLOUT : POLLIN), 0};
  const int ready = ::poll(&wanted, 1, milliseconds);
  if (ready < 0 && errno != EINTR) throw util::system_error("waiting for the server", errno);
  return ready > 0;
}

ServerError login_failure(PGconn* connection) {
  std::string message = PQerrorMessage(connection);
  const std::string state = take_state(message);
  const Error error = explained(state, message);
  return {error.with_context("cannot connect"), state};
}
}  // namespace

std::string quote_name(std::string_view name) {
  std::string quoted = "\"";
  for (const char c : name) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

std::string quote_name(std::string_view schema, std::string_view name) {
  return cat(quote_name(schema), ".", quote_name(name));
}

std::string quote_text(std::string_view text) {
  std::string quoted = text.find('\\') == std::string_view::npos ? "'" : " E'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') quoted += c;
    quoted += c;
  }
  return quoted + "'";
}

std::string array_literal(const std::vector<std::string>& values) {
  std::string literal = "{";
  for (const std::string& value : values) {
    if (literal.size() > 1) literal += ',';
    literal += '"';
    for (const char c : value) {
      if (c == '"' || c == '\\') literal += '\\';
      literal += c;
    }
    literal += '"';
  }
  return literal + "}";
}

void Result::Clear::operator()(pg_result* result) const { PQclear(result); }
std::size_t Result::rows() const { return static_cast<std::size_t>(PQntuples(result_.get())); }

bool Result::is_null(std::size_t row, std::size_t column) const {
  return PQgetisnull(result_.get(), static_cast<int>(row), static_cast<int>(column)) != 0;
}

std::string_view Result::view(std::size_t row, std::size_t column) const {
  const int r = static_cast<int>(row);
  const int c = static_cast<int>(column);
  return {PQgetvalue(result_.get(), r, c),
          static_cast<std::size_t>(PQgetlength(result_.get(), r, c))};
}

std::string Result::text(std::size_t row, std::size_t column) const {
  return std::string(view(row, column));
}

std::int64_t Result::integer(std::size_t row, std::size_t column) const {
  return util::parse_int(view(row, column)).value_or(0);
}

void Connection::Close::operator()(pg_conn* connection) const { PQfinish(connection); }

Connection::Connection(const Parameters& parameters, std::stop_token stop)
    : stop_(std::move(stop)) {
  std::vector<const char*> names;
  std::vector<const char*> values;
  for (const auto& [name, value] : parameters) {
    names.push_back(name.c_str());
    values.push_back(value.c_str());
  }
  names.push_back(nullptr);
  values.push_back(nullptr);
  connection_.reset(PQconnectStartParams(names.data(), values.data(), 0));
  if (!connection_) throw std::bad_alloc();
  PQsetErrorVerbosity(connection_.get(), PQERRORS_VERBOSE);  // for the SQLSTATE of a failed login
  PQsetNoticeProcessor(connection_.get(), keep_notice, &notices_);
  const auto give_up = SteadyClock::now() + kConnectPatience;
  PostgresPollingStatusType wanted = PGRES_POLLING_WRITING;
  if (PQstatus(connection_.get()) == CONNECTION_BAD) throw login_failure(connection_.get());
  while (wanted != PGRES_POLLING_OK) {
    if (stop_.stop_requested()) throw cancelled();
    if (SteadyClock::now() > give_up) {
      throw Error(ErrorCode::unavailable, "cannot connect: the server does not answer",
                  "check host, port and firewall");
    }
    pollfd socket{PQsocket(connection_.get()),
                  static_cast<short>(wanted == PGRES_POLLING_READING ? POLLIN : POLLOUT), 0};
    if (::poll(&socket, 1, kPollMilliseconds) > 0) wanted = PQconnectPoll(connection_.get());
    if (wanted == PGRES_POLLING_FAILED) throw login_failure(connection_.get());
  }
  PQsetErrorVerbosity(connection_.get(), PQERRORS_DEFAULT);
  PQsetnonblocking(connection_.get(), 1);
}

int Connection::major_version() const { return PQserverVersion(connection_.get()) / 10000; }

std::string Connection::server_version() const {
  const char* version = PQparameterStatus(connection_.get(), "server_version");
  const std::string text = version == nullptr ? "" : version;
  return text.substr(0, text.find(' '));
}

std::vector<std::string> Connection::take_notices() { return std::exchange(notices_, {}); }

void Connection::ask_to_cancel() {
  cancelled_at_ = SteadyClock::now();
  struct Free {
    void operator()(PGcancel* cancel) const { PQfreeCancel(cancel); }
  };
  const std::unique_ptr<PGcancel, Free> cancel(PQgetCancel(connection_.get()));
  std::array<char, 256> problem{};
  // Without success the wait below ends all the same, and closing the connection ends the statement
  // as soon as the server looks at it.
  if (cancel) PQcancel(cancel.get(), problem.data(), static_cast<int>(problem.size()));
}

// Waits until the socket has news, for at most one interval.
void Connection::wait(bool for_write) {
  if (stop_.stop_requested()) {
    if (!cancelled_at_) ask_to_cancel();
    if (SteadyClock::now() - *cancelled_at_ > kPatienceAfterCancel) throw cancelled();
  }
  const int fd = PQsocket(connection_.get());
  if (fd < 0) fail(nullptr);
  poll_once(fd, for_write, kPollMilliseconds);
}

void Connection::fail(const Result* result) {
  if (stop_.stop_requested()) throw cancelled();
  const char* state =
      result == nullptr ? nullptr : PQresultErrorField(result->result_.get(), PG_DIAG_SQLSTATE);
  const char* message = result == nullptr
                            ? nullptr
                            : PQresultErrorField(result->result_.get(), PG_DIAG_MESSAGE_PRIMARY);
  const std::string code = state == nullptr ? "" : state;
  Error error = explained(code, message != nullptr ? message : PQerrorMessage(connection_.get()));
  if (result != nullptr) {
    const char* detail = PQresultErrorField(result->result_.get(), PG_DIAG_MESSAGE_DETAIL);
    // Details of the data itself (a key that exists already) name values: not for logs.
    if (detail != nullptr && !code.starts_with("23") && !code.starts_with("22")) {
      const std::string_view text(detail);
      error = Error(error.code(),
                    cat(error.message(), ": ", util::printable(text.substr(0, text.find('\n')))),
                    error.hint());
    }
  }
  throw ServerError(error, code);
}

void Connection::flush() {
  while (true) {
    const int left = PQflush(connection_.get());
    if (left == 0) return;
    if (left < 0) fail(nullptr);
    wait(true);
    if (PQconsumeInput(connection_.get()) == 0) fail(nullptr);
  }
}

void Connection::send(const std::string& sql, const Values* values) {
  if (stop_.stop_requested()) throw cancelled();
  int sent = 0;
  if (values == nullptr) {
    sent = PQsendQuery(connection_.get(), sql.c_str());
  } else {
    std::vector<const char*> texts;
    for (const auto& value : *values) texts.push_back(value ? value->c_str() : nullptr);
    sent = PQsendQueryParams(connection_.get(), sql.c_str(), static_cast<int>(texts.size()),
                             nullptr, texts.data(), nullptr, nullptr, 0);
  }
  if (sent == 0) fail(nullptr);
  flush();
}

std::optional<Result> Connection::next_result() {
  while (PQisBusy(connection_.get()) != 0) {
    wait(false);
    if (PQconsumeInput(connection_.get()) == 0) fail(nullptr);
  }
  pg_result* result = PQgetResult(connection_.get());
  if (result == nullptr) return std::nullopt;
  return Result(result);
}

// All results are read, so that the connection can be used again whatever they say.
Result Connection::last_result() {
  std::optional<Result> last;
  std::optional<Result> failed;
  while (auto result = next_result()) {
    const ExecStatusType status = PQresultStatus(result->result_.get());
    if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT) {
      throw Error(ErrorCode::internal, "COPY outside of its own functions");
    }
    if (status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE) {
      if (!failed) failed = std::move(result);
    } else {
      last = std::move(result);
    }
  }
  if (failed) fail(&*failed);
  if (!last) fail(nullptr);
  return std::move(*last);
}

Result Connection::query(const std::string& sql) {
  send(sql, nullptr);
  return last_result();
}

Result Connection::query(const std::string& sql, const Values& values) {
  send(sql, &values);
  return last_result();
}

std::string Connection::value(const std::string& sql) {
  const Result result = query(sql);
  return result.rows() == 0 ? std::string() : result.text(0, 0);
}

Result Connection::begin_copy(const std::string& sql, int expected) {
  send(sql, nullptr);
  auto result = next_result();
  if (!result) fail(nullptr);
  if (PQresultStatus(result->result_.get()) == static_cast<ExecStatusType>(expected)) {
    return std::move(*result);
  }
  while (next_result()) {
  }
  fail(&*result);
}

void Connection::copy_out(const std::string& sql, const TakeRow& take) {
  begin_copy(sql, PGRES_COPY_OUT);
  struct Free {
    void operator()(char* buffer) const { PQfreemem(buffer); }
  };
  try {
    while (true) {
      char* raw = nullptr;
      const int length = PQgetCopyData(connection_.get(), &raw, 1);
      const std::unique_ptr<char, Free> row(raw);
      if (length > 0) {
        take({reinterpret_cast<const std::uint8_t*>(raw), static_cast<std::size_t>(length)});
        continue;
      }
      if (length == -1) break;
      if (length < -1) fail(nullptr);
      wait(false);
      if (PQconsumeInput(connection_.get()) == 0) fail(nullptr);
    }
  } catch (...) {
    // The server would go on sending; what it says to the cancel goes down with the connection.
    if (!cancelled_at_) ask_to_cancel();
    throw;
  }
  last_result();
}

std::uint64_t Connection::copy_in(const std::string& sql,
                                  const std::function<void(const Put&)>& fill) {
  begin_copy(sql, PGRES_COPY_IN);
  const auto put = [this](util::ByteView rows) {
    while (true) {
      if (stop_.stop_requested()) throw cancelled();
      const int sent = PQputCopyData(connection_.get(), reinterpret_cast<const char*>(rows.data()),
                                     static_cast<int>(rows.size()));
      if (sent < 0) {
        last_result();  // throws what the server has refused the rows for
        fail(nullptr);
      }
      // Flushed at once: libpq would otherwise keep whatever the socket does not take.
      flush();
      if (sent == 1) return;
    }
  };
  std::exception_ptr failure;
  try {
    fill(put);
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) {
    try {
      if (PQputCopyEnd(connection_.get(), "the sender failed") >= 0) {
        flush();
        last_result();
      }
    } catch (const Error&) {
      // The server confirms what we have told it.
    }
    std::rethrow_exception(failure);
  }
  if (PQputCopyEnd(connection_.get(), nullptr) >= 0) flush();
  const Result result = last_result();
  return std::strtoull(PQcmdTuples(result.result_.get()), nullptr, 10);
}

}  // namespace dbbackup::engine::postgresql
