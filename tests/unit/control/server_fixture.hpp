// A server in a temporary folder with a loop, a pool and handlers that answer nothing unless a test
// says otherwise.
#pragma once

#include <poll.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <mutex>
#include <thread>

#include "control/address.hpp"
#include "control/client.hpp"
#include "control/server.hpp"
#include "util/error.hpp"
#include "util/file.hpp"

namespace dbbackup::control::test {

namespace json = util::json;

// One end of a connection, byte by byte; reads give up after ten seconds, which no test should ever
// see.
class RawClient {
 public:
  explicit RawClient(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
    const UnixAddress address(path);
    REQUIRE(::connect(fd_.get(), address.get(), UnixAddress::size()) == 0);
  }
  // False when the server closed meanwhile.
  bool send(std::string_view text) {
    while (!text.empty()) {
      const ssize_t sent = ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  // The next line without its end; empty at the end of the connection.
  std::string line() {
    for (;;) {
      if (const auto end = buffer_.find('\n'); end != std::string::npos) {
        std::string found = buffer_.substr(0, end);
        buffer_.erase(0, end + 1);
        return found;
      }
      pollfd state{fd_.get(), POLLIN, 0};
      REQUIRE(::poll(&state, 1, 10000) == 1);
      char chunk[4096];
      const ssize_t bytes = ::recv(fd_.get(), chunk, sizeof chunk, 0);
      if (bytes <= 0) return "";
      buffer_.append(chunk, static_cast<std::size_t>(bytes));
    }
  }
  json::Object message() { return json::parse(line()).as_object(); }
  bool at_end() { return line().empty(); }
  void shut_down_sending() { ::shutdown(fd_.get(), SHUT_WR); }
  void close() { fd_.reset(); }

 private:
  util::UniqueFd fd_;
  std::string buffer_;
};

struct AuditLine {
  uid_t uid;
  pid_t pid;
  std::string user;
  std::string command;
  std::string params;
  std::string outcome;
};

class TestServer {
 public:
  TestServer() {
    for (const Command& command : command_table()) {
      handlers[command.name] = [](const json::Object&, Session&) { return json::Value(); };
    }
  }
  ~TestServer() { stop(); }

  // After the test has set what it wants.
  void start() {
    server = std::make_unique<Server>(
        loop, pool, listen_unix(path), handlers, authorise,
        [this](const Caller& caller, const Command& command, const json::Object& params,
               std::string_view outcome) {
          const std::scoped_lock lock(mutex);
          audit.push_back({caller.uid, caller.pid, caller.user, command.name, json::write(params),
                           std::string(outcome)});
          if (audit_fails) throw util::Error(util::ErrorCode::no_space, "disk full");
        },
        limits,
        util::Logger::to_sink([this](util::Severity, std::string_view message, const auto&) {
          const std::scoped_lock lock(mutex);
          log.emplace_back(message);
        }));
    thread = std::thread([this] { loop.run(); });
  }
  void stop() {
    server.reset();
    loop.stop();
    if (thread.joinable()) thread.join();
  }
  std::vector<AuditLine> audit_lines() {
    const std::scoped_lock lock(mutex);
    return audit;
  }
  std::vector<std::string> log_lines() {
    const std::scoped_lock lock(mutex);
    return log;
  }

  util::TemporaryFolder folder{std::filesystem::temp_directory_path(), "dbbackup-control"};
  std::string path = folder.path() / "socket";
  Handlers handlers;
  Authorise authorise = [](uid_t, const auto&) { return Access::admin; };
  ServerLimits limits;
  bool audit_fails = false;

  EventLoop loop;
  WorkerPool pool{8};
  std::unique_ptr<Server> server;
  std::thread thread;

 private:
  std::mutex mutex;
  std::vector<AuditLine> audit;
  std::vector<std::string> log;
};

inline std::string request(const std::string& method, const std::string& params = "{}",
                           const std::string& id = "1") {
  return R"({"jsonrpc":"2.0","id":)" + id + R"(,"method":")" + method + R"(","params":)" + params +
         "}\n";
}

inline std::string error_name(const json::Object& reply) {
  return std::string(reply.at("error").at("data").at("code").as_string());
}

}  // namespace dbbackup::control::test
