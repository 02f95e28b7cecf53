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

Decision decide(const Timing& timing, TimePoint handled, TimePoint now) {
  Decision decision;
  decision.handled = handled;
  // With jitter everything happens as if the clock were that much slow.
  const TimePoint reached = now - timing.jitter;
  const auto first = next_fire(timing, handled);
  if (first && first->at <= reached) {
    const Fire newest = newest_fire(timing, *first, reached);
    const bool on_time = reached - newest.at <= kOnTime;
    decision.missed = count_fires(timing, *first, newest);
    decision.handled = newest.at;
    if (on_time || timing.catch_up == CatchUp::once) {
      decision.run = newest;
      --decision.missed;
    }
  }
  decision.next = next_fire(timing, std::max(decision.handled, reached));
  if (decision.next) decision.wake_at = decision.next->at + timing.jitter;
  decision.clock_behind = std::max(Milliseconds(0), decision.handled - now);
  return decision;
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
