#include "repository/throttle.hpp"

#include <catch2/catch.hpp>

#include "support/manual_clock.hpp"

namespace dbbackup::repository {

using std::chrono::seconds;

TEST_CASE("throttle: what was taken pays before the next piece", "[repository]") {
  test::ManualClock clock{util::from_unix_ms(0)};
  Throttle throttle(1000, clock);
  CHECK(throttle.take(3000) == seconds(0));
  CHECK(throttle.take(1000) == seconds(3));
  clock.advance(seconds(1));
  CHECK(throttle.take(500) == seconds(3));
  clock.advance(seconds(60));  // idle time is not saved up
  CHECK(throttle.take(1000) == seconds(0));
  CHECK(throttle.take(1) == seconds(1));
}

TEST_CASE("throttle: rate 0 never waits, and a stop ends a wait", "[repository]") {
  test::ManualClock clock{util::from_unix_ms(0)};
  Throttle free(0, clock);
  CHECK(free.take(1ULL << 60U) == seconds(0));
  CHECK(free.take(1ULL << 60U) == seconds(0));
  Throttle slow(1, clock);
  std::stop_source source;
  slow.wait_for(1'000'000, source.get_token());
  source.request_stop();
  slow.wait_for(1, source.get_token());  // would take days
}

}  // namespace dbbackup::repository
