#include <algorithm>
#include <random>

#include "http/client.hpp"
#include "util/text.hpp"

namespace dbbackup::http {

using util::Error;
using util::ErrorCode;
using util::Milliseconds;

namespace {

// Half of the delay is left to chance, so that many who failed together do not come back together.
Milliseconds delay_before(const RetryPolicy& policy, unsigned attempt) {
  const Milliseconds full =
      std::min(policy.longest_delay, policy.first_delay * (1U << std::min(attempt, 16U)));
  thread_local std::minstd_rand random(std::random_device{}());
  std::uniform_int_distribution<std::int64_t> part(full.count() / 2, full.count());
  return Milliseconds(part(random));
}

// Source: RFC 9110 section 10.2.3: seconds, or a date.
std::optional<Milliseconds> retry_after(const Response& response) {
  const std::string_view text = response.header("retry-after");
  if (const auto seconds = util::parse_int(text); seconds && *seconds >= 0) {
    return util::Seconds(std::min<std::int64_t>(*seconds, 86400));
  }
  const auto until = parse_http_date(text);
  const auto now = response.date();
  if (!until || !now) return std::nullopt;
  return std::max(Milliseconds(0), *until - *now);
}

void wait(Milliseconds delay, const std::stop_token& stop) {
  if (!pause(delay, stop)) throw Error(ErrorCode::cancelled, "the transfer was cancelled");
}

bool is_passing(const Error& error) {
  return error.code() == ErrorCode::unavailable || error.code() == ErrorCode::timed_out;
}

}  // namespace

bool is_passing(int status) {
  return status == 408 || status == 429 || status == 500 || status == 502 || status == 503 ||
         status == 504;
}

Settled send(Client& client, const RetryPolicy& policy, const std::function<Request()>& make,
             const std::stop_token& stop) {
  for (unsigned attempt = 1;; ++attempt) {
    Milliseconds delay = delay_before(policy, attempt - 1);
    try {
      const Request request = make();
      Response response = client.send(request, stop);
      if (!is_passing(response.status) || attempt >= policy.attempts) {
        return {std::move(response), attempt};
      }
      // A server that asks for more than the policy's patience is taken at its word up to there.
      if (const auto asked = retry_after(response)) {
        delay = std::max(delay, std::min(*asked, policy.longest_delay * 3));
      }
    } catch (const Error& error) {
      if (!is_passing(error) || attempt >= policy.attempts) throw;
    }
    wait(delay, stop);
  }
}

unsigned repeat(const RetryPolicy& policy, const std::stop_token& stop,
                const std::function<void()>& work) {
  for (unsigned attempt = 1;; ++attempt) {
    try {
      work();
      return attempt;
    } catch (const Error& error) {
      if (!is_passing(error) || attempt >= policy.attempts) throw;
    }
    wait(delay_before(policy, attempt - 1), stop);
  }
}

}  // namespace dbbackup::http
