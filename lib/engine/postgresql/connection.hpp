// One connection to a PostgreSQL server: statements, results and COPY in both directions, all of
// which end soon after a stop is requested.
//
// Every wait is a poll() of ours with the stop token in view, because libpq's own waits cannot be
// interrupted. On a stop the server is asked to cancel (PQcancel); when it does not answer within
// two seconds the connection is given up.
//
// Threads: one at a time. Owns: the connection. Errors: what the server says, by its SQLSTATE:
// permission_denied, not_found, conflict, unavailable (gone, busy, locked, conflict with recovery),
// no_space, source_damaged, unsupported, usage (a statement that does not parse); cancelled.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "util/bytes.hpp"
#include "util/error.hpp"

struct pg_conn;
struct pg_result;

namespace dbbackup::engine::postgresql {

// libpq's connection parameters by name, the password among them.
using Parameters = std::vector<std::pair<std::string, std::string>>;

// "Name" as "\"Name\"".
std::string quote_name(std::string_view name);
std::string quote_name(std::string_view schema, std::string_view name);
// A text as a string literal, for statements that take no parameters.
std::string quote_text(std::string_view text);
// Texts as the literal of an array.
std::string array_literal(const std::vector<std::string>& values);

// An error the server has reported, with its SQLSTATE.
class ServerError : public util::Error {
 public:
  ServerError(util::Error error, std::string state)
      : util::Error(std::move(error)), state_(std::move(state)) {}
  const std::string& state() const { return state_; }

 private:
  std::string state_;
};

class Result {
 public:
  explicit Result(pg_result* result) : result_(result) {}
  std::size_t rows() const;
  bool is_null(std::size_t row, std::size_t column) const;
  std::string_view view(std::size_t row, std::size_t column) const;
  std::string text(std::size_t row, std::size_t column) const;
  std::int64_t integer(std::size_t row, std::size_t column) const;
  bool boolean(std::size_t row, std::size_t column) const { return view(row, column) == "t"; }

 private:
  friend class Connection;
  struct Clear {
    void operator()(pg_result* result) const;
  };
  std::unique_ptr<pg_result, Clear> result_;
};

class Connection {
 public:
  using Values = std::vector<std::optional<std::string>>;
  using TakeRow = std::function<void(util::ByteView row)>;
  using Put = std::function<void(util::ByteView rows)>;

  // Errors: also not_found for a database that does not exist.
  Connection(const Parameters& parameters, std::stop_token stop);
  Connection(const Connection&) = delete;  // libpq knows where the notices are kept
  Connection& operator=(const Connection&) = delete;

  // From now on another stop ends the waits.
  void set_stop(std::stop_token stop) { stop_ = std::move(stop); }

  // The result of the last of the statements. With values ($1, ...) there can be only one.
  Result query(const std::string& sql);
  Result query(const std::string& sql, const Values& values);
  void execute(const std::string& sql) { query(sql); }
  // The first column of the first row.
  std::string value(const std::string& sql);

  // `take` gets each row with its newline.
  void copy_out(const std::string& sql, const TakeRow& take);
  // Calls `fill` once with a function that sends rows; returns the number of rows the server took.
  std::uint64_t copy_in(const std::string& sql, const std::function<void(const Put&)>& fill);

  int major_version() const;
  std::string server_version() const;  // as the server writes it, without the distribution's words
  // Notices and warnings of the server since the last call.
  std::vector<std::string> take_notices();

 private:
  struct Close {
    void operator()(pg_conn* connection) const;
  };
  void send(const std::string& sql, const Values* values);
  void flush();
  void wait(bool for_write);
  std::optional<Result> next_result();
  Result last_result();
  Result begin_copy(const std::string& sql, int expected);
  void ask_to_cancel();
  [[noreturn]] void fail(const Result* result);

  std::unique_ptr<pg_conn, Close> connection_;
  std::stop_token stop_;
  std::optional<std::chrono::steady_clock::time_point> cancelled_at_;
  std::vector<std::string> notices_;
};

}  // namespace dbbackup::engine::postgresql
