#include "control/client.hpp"

#include <future>

#include "server_fixture.hpp"

namespace dbbackup::control {
namespace {

using test::TestServer;
namespace json = util::json;

util::Error error_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const util::Error& error) {
    return error;
  }
  FAIL("nothing was thrown");
  throw;
}

TEST_CASE("a call answers or throws what the daemon threw", "[control]") {
  TestServer at;
  at.handlers["job.show"] = [](const json::Object& params, Session&) -> json::Value {
    if (params.at("name") == "a") return {{"name", "a"}};
    throw util::Error(util::ErrorCode::not_found, "there is no such job", "see `job list`");
  };
  at.start();
  Client client = Client::connect(at.path);
  CHECK(client.call("job.show", {{"name", "a"}}).at("name") == "a");
  const auto error = error_of([&] { client.call("job.show", {{"name", "b"}}); });
  CHECK(error.code() == util::ErrorCode::not_found);
  CHECK(error.message() == "there is no such job");
  CHECK(error.hint() == "see `job list`");
  CHECK(client.call("job.list", {}).is_null());
  CHECK(error_of([&] { client.call("job.lst", {}); }).hint() == "did you mean 'job.list'?");
}

TEST_CASE("notifications reach the caller", "[control]") {
  TestServer at;
  at.handlers["run.wait"] = [](const auto&, Session& session) {
    for (int i = 0; i < 3; ++i) session.notify("run.log", {{"line", i}});
    return json::Value("end");
  };
  at.start();
  Client client = Client::connect(at.path);
  std::string seen;
  const auto result =
      client.call("run.wait", {{"run", "x"}}, [&](const auto& method, const json::Object& params) {
        seen += method + json::write(params);
        return true;
      });
  CHECK(result == "end");
  CHECK(seen == R"(run.log{"line":0}run.log{"line":1}run.log{"line":2})");
}

TEST_CASE("a caller may detach and call again", "[control]") {
  TestServer at;
  std::promise<void> gone;
  at.handlers["run.wait"] = [&](const auto&, Session& session) {
    session.notify("run.log", {{"line", 1}});
    std::promise<void> stop;
    const std::stop_callback callback(session.gone(), [&] { stop.set_value(); });
    stop.get_future().wait();
    gone.set_value();
    return json::Value("never read");
  };
  at.start();
  Client client = Client::connect(at.path);
  const bool by_notification = GENERATE(true, false);
  bool told = false;
  const auto result = client.call(
      "run.wait", {{"run", "x"}},
      [&](const auto&, const auto&) {
        told = true;
        return !by_notification;
      },
      [&] { return !told; });
  CHECK(result.is_null());
  gone.get_future().wait();  // the daemon has noticed
  CHECK(client.call("job.list", {}).is_null());
}

TEST_CASE("no daemon, and no right to reach it", "[control]") {
  const util::TemporaryFolder folder(std::filesystem::temp_directory_path(), "dbbackup-client");
  const std::string path = folder.path() / "socket";
  const auto connect = [&] { Client::connect(path); };
  auto error = error_of(connect);
  CHECK(error.code() == util::ErrorCode::daemon_unreachable);
  CHECK(error.message() == "no daemon at " + path);
  CHECK(error.hint().find("systemctl") != std::string::npos);
  CHECK(error.hint().find("--socket") != std::string::npos);

  auto listener = listen_unix(path);
  if (::geteuid() != 0) {  // root opens everything
    std::filesystem::permissions(path, std::filesystem::perms::none);
    CHECK(error_of(connect).code() == util::ErrorCode::not_authorised);
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  }
  listener.reset();
  error = error_of(connect);
  CHECK(error.code() == util::ErrorCode::daemon_unreachable);
  CHECK(error.message() == "no daemon answers at " + path);
}

TEST_CASE("a refused caller learns why", "[control]") {
  TestServer at;
  at.authorise = [](uid_t, const auto&) { return std::nullopt; };
  at.start();
  Client client = Client::connect(at.path);
  const auto error = error_of([&] { client.call("job.list", {}); });
  CHECK(error.code() == util::ErrorCode::not_authorised);
  CHECK_FALSE(error.hint().empty());
}

// A server that answers `reply` to whatever comes and closes.
class FakeServer {
 public:
  FakeServer(const std::string& path, std::string reply)
      : listener_(listen_unix(path)), thread_([this, reply = std::move(reply)] {
          const util::UniqueFd fd(::accept(listener_.get(), nullptr, nullptr));
          char request[1024];
          if (::recv(fd.get(), request, sizeof request, 0) < 0) return;
          ::send(fd.get(), reply.data(), reply.size(), MSG_NOSIGNAL);
        }) {}
  ~FakeServer() { thread_.join(); }

 private:
  util::UniqueFd listener_;
  std::thread thread_;
};

TEST_CASE("what breaks off or is not our daemon is unreachable", "[control]") {
  const util::TemporaryFolder folder(std::filesystem::temp_directory_path(), "dbbackup-client");
  const std::string path = folder.path() / "socket";
  const std::string broken_off =
      "the daemon at " + path + " closed the connection before it answered";
  const std::string foreign = "what answers at " + path + " is not dbbackupd";
  const std::pair<const char*, std::string> cases[] = {
      {"", broken_off},  {"{\"jsonrpc\":", broken_off},           {"220 mail ready\n", foreign},
      {"{}\n", foreign}, {"{\"id\":99,\"result\":1}\n", foreign},
  };
  for (const auto& [reply, message] : cases) {
    const FakeServer server(path, reply);
    Client client = Client::connect(path);
    const auto error = error_of([&] { client.call("job.list", {}); });
    CHECK(error.code() == util::ErrorCode::daemon_unreachable);
    CHECK(error.message() == message);
  }
}

}  // namespace
}  // namespace dbbackup::control
