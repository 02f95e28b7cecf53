#include <catch2/catch.hpp>

#include "http/client.hpp"

namespace dbbackup::http {
namespace {

TEST_CASE("everything but unreserved characters is encoded", "[http]") {
  CHECK(percent_encode("AZaz09-._~") == "AZaz09-._~");
  CHECK(percent_encode("a b/c+d=\xc3\xa4%") == "a%20b%2Fc%2Bd%3D%C3%A4%25");
  CHECK(percent_encode("a/b c", true) == "a/b%20c");
}

TEST_CASE("HTTP dates go both ways", "[http]") {
  const auto time = util::parse_time("1994-11-06T08:49:37Z");
  CHECK(format_http_date(*time) == "Sun, 06 Nov 1994 08:49:37 GMT");
  CHECK(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT") == time);
  for (const char* wrong : {"", "1994-11-06", "Sun, 06 Abc 1994 08:49:37 GMT",
                            "Sun, 31 Feb 1994 08:49:37 GMT", "Sun, 06 Nov 1994 25:49:37 GMT"}) {
    CHECK_FALSE(parse_http_date(wrong));
  }
}

TEST_CASE("work is repeated while its failure may pass", "[http]") {
  const RetryPolicy policy{
      .attempts = 3, .first_delay = util::Milliseconds(1), .longest_delay = util::Milliseconds(1)};
  const auto failing = [](int times, util::ErrorCode code) {
    return [times, code]() mutable {
      if (times-- > 0) throw util::Error(code, "injected");
    };
  };
  CHECK(repeat(policy, {}, failing(0, util::ErrorCode::unavailable)) == 1);
  CHECK(repeat(policy, {}, failing(2, util::ErrorCode::timed_out)) == 3);
  CHECK_THROWS_AS(repeat(policy, {}, failing(3, util::ErrorCode::unavailable)), util::Error);
  CHECK_THROWS_AS(repeat(policy, {}, failing(1, util::ErrorCode::permission_denied)), util::Error);
  std::stop_source stop;
  stop.request_stop();
  try {
    repeat(policy, stop.get_token(), failing(1, util::ErrorCode::unavailable));
    FAIL("no error");
  } catch (const util::Error& error) {
    CHECK(error.code() == util::ErrorCode::cancelled);
  }
}

}  // namespace
}  // namespace dbbackup::http
