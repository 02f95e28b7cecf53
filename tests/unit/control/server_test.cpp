#include "control/server.hpp"

#include <sys/stat.h>

#include <atomic>
#include <future>

#include "server_fixture.hpp"

namespace dbbackup::control {
namespace {

using test::error_name;
using test::RawClient;
using test::request;
using test::TestServer;
namespace json = util::json;

TEST_CASE("a request is answered", "[control]") {
  TestServer at;
  at.handlers["job.show"] = [](const json::Object& params, Session& session) {
    return json::Value{{"name", params.at("name")}, {"uid", session.caller().uid}};
  };
  at.start();
  RawClient client(at.path);
  REQUIRE(client.send(request("job.show", R"({"name":"a"})", "\"x\"")));
  const std::string uid = ",\"uid\":" + std::to_string(::getuid()) + "}}";
  CHECK(client.line() == R"({"jsonrpc":"2.0","id":"x","result":{"name":"a")" + uid);
  // The connection serves on, and takes requests sent ahead one after the other.
  REQUIRE(client.send(request("job.show", R"({"name":"b"})", "2") +
                      request("job.show", R"({"name":"c"})", "3")));
  CHECK(client.line() == R"({"jsonrpc":"2.0","id":2,"result":{"name":"b")" + uid);
  CHECK(client.line() == R"({"jsonrpc":"2.0","id":3,"result":{"name":"c")" + uid);
}

TEST_CASE("errors of handlers become error objects", "[control]") {
  TestServer at;
  at.handlers["job.show"] = [](const auto&, Session&) -> json::Value {
    throw util::Error(util::ErrorCode::not_found, "there is no job 'a'", "see `job list`");
  };
  at.handlers["job.list"] = [](const auto&, Session&) -> json::Value {
    throw std::runtime_error("broken");
  };
  at.start();
  RawClient client(at.path);
  client.send(request("job.show", R"({"name":"a"})"));
  CHECK(client.line() ==
        R"({"jsonrpc":"2.0","id":1,"error":{"code":-32002,"message":"there is no job 'a'",)"
        R"("data":{"code":"not_found","hint":"see `job list`"}}})");
  client.send(request("job.list"));
  CHECK(error_name(client.message()) == "internal");
  CHECK(at.log_lines().size() == 1);
}

TEST_CASE("a connection survives lines that are no requests", "[control]") {
  TestServer at;
  at.start();
  RawClient client(at.path);
  client.send("\n");
  CHECK(client.message().at("error").at("code").as_int64() == -32700);
  client.send(std::string("\x00\x01\xff\xfe\x80garbage\n", 13));
  CHECK(client.message().at("error").at("code").as_int64() == -32700);
  client.send("[]\n");
  CHECK(client.message().at("error").at("code").as_int64() == -32600);
  client.send(request("job.lsit"));
  const auto reply = client.message();
  CHECK(reply.at("error").at("code").as_int64() == -32601);
  CHECK(reply.at("error").at("data").at("hint") == "did you mean 'job.list'?");
  client.send(request("job.list"));
  CHECK(client.message().contains("result"));
}

TEST_CASE("a line longer than the limit ends the connection", "[control]") {
  TestServer at;
  at.limits.line_bytes = 1000;
  at.start();
  RawClient fits(at.path);
  const std::string most = request("job.show", R"({"name":")" + std::string(900, 'a') + "\"}");
  REQUIRE(most.size() <= 1001);
  fits.send(most + most);
  CHECK(fits.message().contains("result"));
  CHECK(fits.message().contains("result"));

  RawClient huge(at.path);
  huge.send(std::string(5U << 20U, '['));
  const auto reply = huge.message();
  CHECK(reply.at("error").at("code").as_int64() == -32600);
  CHECK(reply.at("error").at("message") == "a request is longer than 1000 bytes");
  CHECK(huge.at_end());

  RawClient whole(at.path);  // over the limit, but with its end in the same read
  whole.send(std::string(1001, ' ') + "\n");
  CHECK(whole.message().contains("error"));
  CHECK(whole.at_end());
}

TEST_CASE("a line that does not end is given up", "[control]") {
  TestServer at;
  at.limits.line = std::chrono::milliseconds(50);
  at.start();
  RawClient client(at.path);
  client.send(R"({"jsonrpc":)");
  CHECK(error_name(client.message()) == "timed_out");
  CHECK(client.at_end());
}

TEST_CASE("a connection without requests is closed", "[control]") {
  TestServer at;
  at.limits.idle = std::chrono::milliseconds(50);
  at.start();
  RawClient client(at.path);
  client.send(request("job.list"));
  CHECK(client.message().contains("result"));
  CHECK(client.at_end());
}

TEST_CASE("a handler may take longer than an idle connection may", "[control]") {
  TestServer at;
  at.limits.idle = std::chrono::milliseconds(20);
  at.limits.line = std::chrono::milliseconds(20);
  std::promise<void> longer;
  at.handlers["run.wait"] = [&](const auto&, Session& session) {
    longer.get_future().wait();
    return json::Value(!session.gone().stop_requested());
  };
  at.start();
  RawClient client(at.path);
  client.send(request("run.wait", R"({"run":"x"})"));
  // Another connection times out meanwhile, so more time than the limit has passed.
  CHECK(RawClient(at.path).at_end());
  longer.set_value();
  CHECK(client.message().at("result") == true);
}

TEST_CASE("a client that stops sending still gets its answers", "[control]") {
  TestServer at;
  at.start();
  RawClient client(at.path);
  client.send(request("job.list", "{}", "1") + request("job.list", "{}", "2"));
  client.shut_down_sending();
  CHECK(client.message().at("id") == 1);
  CHECK(client.message().at("id") == 2);
  CHECK(client.at_end());

  RawClient cut(at.path);
  cut.send(R"({"jsonrpc":"2.0")");
  cut.shut_down_sending();
  CHECK(error_name(cut.message()) == "usage");
  CHECK(cut.at_end());
}

TEST_CASE("many quick connections are served", "[control]") {
  TestServer at;
  at.start();
  for (int i = 0; i < 200; ++i) {
    RawClient client(at.path);
    if (i % 2 == 0) {
      client.send(request("job.list"));
      if (i % 4 == 0) CHECK(client.message().contains("result"));
    }
  }
  RawClient client(at.path);
  client.send(request("job.list"));
  CHECK(client.message().contains("result"));
}

TEST_CASE("connections over the limit are told so", "[control]") {
  TestServer at;
  at.limits.connections = 2;
  at.start();
  RawClient first(at.path);
  RawClient second(at.path);
  first.send(request("job.list"));
  second.send(request("job.list"));
  CHECK(first.message().contains("result"));
  CHECK(second.message().contains("result"));
  RawClient third(at.path);
  CHECK(error_name(third.message()) == "unavailable");
  CHECK(third.at_end());
  // The first end makes room; its answer proves that the server has seen it.
  first.shut_down_sending();
  CHECK(first.at_end());
  RawClient fourth(at.path);
  fourth.send(request("job.list"));
  CHECK(fourth.message().contains("result"));
}

TEST_CASE("a client that vanishes stops its handler", "[control]") {
  TestServer at;
  std::promise<bool> notified_after;
  at.handlers["events.list"] = [&](const auto&, Session& session) {
    session.notify("event", {{"id", 1}});
    std::promise<void> gone;
    const std::stop_callback callback(session.gone(), [&] { gone.set_value(); });
    gone.get_future().wait();
    notified_after.set_value(session.notify("event", {{"id", 2}}));
    return json::Value();
  };
  at.start();
  const bool after_half_close = GENERATE(false, true);
  RawClient client(at.path);
  client.send(request("events.list", R"({"follow":true})"));
  if (after_half_close) client.shut_down_sending();
  CHECK(client.message().at("method") == "event");
  client.close();
  auto outcome = notified_after.get_future();
  REQUIRE(outcome.wait_for(std::chrono::seconds(10)) == std::future_status::ready);
  CHECK_FALSE(outcome.get());
}

TEST_CASE("notifications come in order and before the reply", "[control]") {
  TestServer at;
  constexpr int kCount = 20000;  // more than the queue holds: notify() has to wait for the reader
  at.handlers["run.wait"] = [&](const auto&, Session& session) {
    const std::string padding(200, 'x');
    for (int i = 0; i < kCount; ++i) {
      if (!session.notify("run.log", {{"line", i}, {"padding", padding}})) break;
    }
    return json::Value("end");
  };
  at.start();
  RawClient client(at.path);
  client.send(request("run.wait", R"({"run":"x"})"));
  for (int i = 0; i < kCount; ++i) {
    const auto message = client.message();
    if (message.at("params").at("line") != i) FAIL("notification " << i << " out of order");
  }
  CHECK(client.message().at("result") == "end");
}

TEST_CASE("a client that does not read is dropped and its handler freed", "[control]") {
  TestServer at;
  at.limits.idle = std::chrono::milliseconds(50);
  std::promise<void> freed;
  at.handlers["run.wait"] = [&](const auto&, Session& session) {
    const std::string padding(10000, 'x');
    while (session.notify("run.log", {{"padding", padding}})) {
    }
    freed.set_value();
    return json::Value();
  };
  at.start();
  RawClient client(at.path);
  client.send(request("run.wait", R"({"run":"x"})"));
  CHECK(freed.get_future().wait_for(std::chrono::seconds(10)) == std::future_status::ready);
}

TEST_CASE("a caller without access gets one line", "[control]") {
  TestServer at;
  uid_t asked = ~0U;
  bool own_group = false;
  at.authorise = [&](uid_t uid, const std::vector<gid_t>& groups) -> std::optional<Access> {
    asked = uid;
    own_group = std::find(groups.begin(), groups.end(), ::getgid()) != groups.end();
    return std::nullopt;
  };
  at.start();
  RawClient client(at.path);
  const auto reply = client.message();
  CHECK(reply.at("id").is_null());
  CHECK(error_name(reply) == "not_authorised");
  CHECK(client.at_end());
  CHECK(asked == ::getuid());
  CHECK(own_group);
}

TEST_CASE("a class of access allows its commands and no others", "[control]") {
  const auto access = GENERATE(Access::viewer, Access::operate, Access::admin);
  TestServer at;
  at.authorise = [=](uid_t, const auto&) { return access; };
  at.start();
  RawClient client(at.path);
  const auto outcome = [&](const char* method, const char* params) {
    client.send(request(method, params));
    const auto reply = client.message();
    return reply.contains("error") ? error_name(reply) : "ok";
  };
  const auto expected = [&](Access needed) { return access < needed ? "not_authorised" : "ok"; };
  CHECK(outcome("job.list", "{}") == "ok");
  CHECK(outcome("job.run", R"({"name":"a"})") == expected(Access::operate));
  CHECK(outcome("job.remove", R"({"name":"a"})") == expected(Access::admin));
  // Access comes before parameters: who may not call it learns nothing about it.
  CHECK(outcome("job.remove", "{}") == (access < Access::admin ? "not_authorised" : "usage"));

  // Refusals are on record too.
  const auto audit = at.audit_lines();
  REQUIRE(audit.size() == 3);
  CHECK(audit[0].command == "job.run");
  CHECK(audit[0].outcome == expected(Access::operate));
  CHECK(audit[1].outcome == expected(Access::admin));
}

TEST_CASE("mutating commands leave an event without secrets", "[control]") {
  TestServer at;
  at.handlers["job.remove"] = [](const auto&, Session&) -> json::Value {
    throw util::Error(util::ErrorCode::conflict, "job 'a' runs");
  };
  at.start();
  RawClient client(at.path);
  client.send(request("database.add", R"({"name":"a","url":"sqlite:///a","password":"hunter2"})") +
              request("database.set_password", R"({"name":"a","pasword":"hunter2"})") +
              request("job.remove", R"({"name":"a"})") + request("job.list"));
  for (int i = 0; i < 4; ++i) client.message();
  const auto audit = at.audit_lines();
  REQUIRE(audit.size() == 3);
  CHECK(audit[0].command == "database.add");
  CHECK(audit[0].params == R"({"name":"a","url":"sqlite:///a"})");
  CHECK(audit[0].outcome == "ok");
  CHECK(audit[0].uid == ::getuid());
  CHECK(audit[0].pid == ::getpid());
  CHECK_FALSE(audit[0].user.empty());
  CHECK(audit[1].params == R"({"name":"a"})");
  CHECK(audit[1].outcome == "usage");
  CHECK(audit[2].outcome == "conflict");
}

TEST_CASE("an event that cannot be written is logged; the answer comes", "[control]") {
  TestServer at;
  at.audit_fails = true;
  at.start();
  RawClient client(at.path);
  client.send(request("job.remove", R"({"name":"a"})"));
  CHECK(client.message().contains("result"));
  REQUIRE(at.log_lines().size() == 1);
  CHECK(at.log_lines()[0] == "no event written for job.remove: disk full");
}

TEST_CASE("stopping waits for handlers and delivers what they answer", "[control]") {
  TestServer at;
  std::promise<void> running;
  std::atomic<bool> ended = false;
  at.handlers["run.wait"] = [&](const auto&, Session& session) {
    std::promise<void> gone;
    const std::stop_callback callback(session.gone(), [&] { gone.set_value(); });
    running.set_value();
    gone.get_future().wait();
    ended = true;
    return json::Value("stopped");
  };
  at.start();
  RawClient follower(at.path);
  RawClient idle(at.path);
  follower.send(request("run.wait", R"({"run":"x"})"));
  running.get_future().wait();

  SECTION("from another thread") { at.server->stop(); }
  SECTION("from the loop") {
    std::promise<void> done;
    at.loop.post([&] {
      at.server->stop();
      done.set_value();
    });
    done.get_future().wait();
  }
  SECTION("when the loop has stopped") {
    at.loop.stop();
    at.thread.join();
    at.server->stop();
  }
  CHECK(ended);
  CHECK(follower.message().at("result") == "stopped");
  CHECK(follower.at_end());
  CHECK(idle.at_end());
  at.server->stop();  // once more is fine
}

TEST_CASE("commands and handlers must match", "[control]") {
  TestServer missing;
  missing.handlers.erase("job.add");
  CHECK_THROWS_WITH(missing.start(), "method job.add has no handler");
  TestServer extra;
  extra.handlers["job.dance"] = extra.handlers["job.add"];
  CHECK_THROWS_WITH(extra.start(), "handler job.dance has no row in the command table");
}

TEST_CASE("a socket is bound with its mode, over a stale one only", "[control]") {
  const util::TemporaryFolder folder(std::filesystem::temp_directory_path(), "dbbackup-listen");
  const std::string path = folder.path() / "socket";
  auto listener = listen_unix(path);
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777U) == 0660U);

  CHECK_THROWS_WITH(listen_unix(path), "somebody serves at " + path + " already");
  listener.reset();  // the file stays behind, as after a crash
  listener = listen_unix(path);
  RawClient client(path);

  const std::string file = folder.path() / "file";
  util::write_file_atomically(file, {});
  CHECK_THROWS_WITH(listen_unix(file), file + " exists and is not a socket");
  CHECK(std::filesystem::exists(file));
  CHECK_THROWS_AS(listen_unix(folder.path() / std::string(200, 'x')), util::Error);
  CHECK_THROWS_AS(listen_unix(folder.path() / "missing" / "socket"), util::Error);
}

}  // namespace
}  // namespace dbbackup::control
