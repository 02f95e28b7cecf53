#include "schedule/due.hpp"

#include <algorithm>
#include <cstdint>

namespace dbbackup::schedule {

using util::Milliseconds;
using util::TimePoint;

namespace {

std::optional<Fire> next_fire(const Timing& timing, TimePoint after) {
  return next_after(timing.expression, after, timing.zone, timing.created_at);
}

// The last fire at or before `now`, given an earlier one. Found by bisection: a daemon that slept
// for a year must not walk through half a million minutes.
Fire newest_fire(const Timing& timing, Fire newest, TimePoint now) {
  TimePoint none_after = now;
  while (newest.at < none_after) {
    const TimePoint middle = newest.at + (none_after - newest.at) / 2;
    const auto later = next_fire(timing, middle);
    if (later && later->at <= now) {
      newest = *later;
    } else {
      none_after = middle;
    }
  }
  return newest;
}

// Fires from `first` up to and including `last`, counted up to kMostCounted.
int count_fires(const Timing& timing, const Fire& first, const Fire& last) {
  int count = 1;
  std::optional<Fire> fire = first;
  while (count < kMostCounted && fire && fire->at < last.at) {
    fire = next_fire(timing, fire->at);
    ++count;
  }
  return count;
}

}  // namespace

Decision decide(const Timing& timing, TimePoint handled, TimePoint now, Milliseconds expected) {
  const auto start_from = [&](TimePoint time) {
    return next_start(time, timing.zone, timing.windows, expected);
  };
  Decision decision;
  decision.handled = handled;
  // With jitter everything happens as if the clock were that much slow.
  const TimePoint reached = now - timing.jitter;
  decision.next = next_fire(timing, handled);
  if (decision.next && decision.next->at <= reached) {
    const Fire first = *decision.next;
    decision.next = next_fire(timing, first.at);
    const bool alone = !decision.next || decision.next->at > reached;
    const Fire newest = alone ? first : newest_fire(timing, *decision.next, reached);
    if (!alone) {
      decision.missed = count_fires(timing, first, newest) - 1;
      decision.next = next_fire(timing, newest.at);
    }
    // On time is who starts as soon as the windows allow it.
    const auto allowed = start_from(newest.at + timing.jitter);
    const bool on_time = !allowed || now - *allowed <= kOnTime;
    const auto start = start_from(now);
    if (!on_time && timing.catch_up == CatchUp::skip) {
      decision.handled = newest.at;
      ++decision.missed;
    } else if (start == now) {
      decision.handled = newest.at;
      decision.run = newest;
    } else {
      decision.waiting = newest;
      decision.starts_at = decision.wake_at = start;
    }
  }
  if (decision.next && !decision.waiting) {
    decision.wake_at = decision.next->at + timing.jitter;
    decision.starts_at = start_from(*decision.wake_at);
  }
  decision.clock_behind = std::max(Milliseconds(0), decision.handled - now);
  return decision;
}

Milliseconds likely_duration(std::span<const Milliseconds> durations) {
  if (durations.empty()) return Milliseconds(0);
  std::vector<Milliseconds> sorted(durations.begin(), durations.end());
  const std::size_t rank = (sorted.size() * 9 + 9) / 10 - 1;  // nearest-rank 90th percentile
  std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(rank),
                   sorted.end());
  return sorted[rank];
}

Milliseconds stable_jitter(std::string_view schedule_id, Milliseconds most) {
  if (most <= Milliseconds(0)) return Milliseconds(0);
  // FNV-1a, then a finalizer, because ids made together differ in few bits. std::hash may change
  // between builds. Source: draft-eastlake-fnv (offset basis and prime); MurmurHash3 fmix64
  // (multipliers and shifts).
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : schedule_id) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  }
  hash = (hash ^ (hash >> 33U)) * 0xff51afd7ed558ccd;
  hash = (hash ^ (hash >> 33U)) * 0xc4ceb9fe1a85ec53;
  hash ^= hash >> 33U;
  return Milliseconds(static_cast<std::int64_t>(hash % static_cast<std::uint64_t>(most.count())));
}

}  // namespace dbbackup::schedule
