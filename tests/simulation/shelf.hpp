// The artifacts of one simulated job: every run that ends well seals one, and retention thins them
// out after it, as the daemon does. What the policy promises is computed again from a ledger of
// everything that was ever sealed, so that it holds however often retention was applied on the way:
//
// - the newest of each of the newest N local hours, days, weeks, months and years that have one is
//   still there, and so are the newest N, and everything younger than `within`;
// - what is held stays, and so does some proved artifact once there was one;
// - while the newest run failed, nothing goes.
//
// Threads: one. Errors: Violation.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "repository/retention.hpp"
#include "schedule/zone.hpp"

namespace dbbackup::simulation {

class Shelf {
 public:
  Shelf(std::string job, repository::RetentionPolicy policy, const schedule::TimeZone& zone);
  Shelf(const Shelf&) = delete;  // the policy asks it for its clocks
  Shelf& operator=(const Shelf&) = delete;

  struct Sealed {
    util::TimePoint created;
    bool partial = false;
    bool proved = false;
    util::TimePoint held_until = util::TimePoint::min();
  };
  void seal(const Sealed& artifact);
  // Applies the policy and checks its promises; `frozen` says why nothing may go.
  void thin(util::TimePoint now, const std::string& frozen);

  std::size_t removed() const { return removed_; }

 private:
  using Order = std::pair<util::TimePoint, std::string>;
  // The newest complete artifact of each period of one rule that ever had one.
  struct Rule {
    const char* name;
    std::int64_t count;
    std::string (*period)(util::TimePoint local);
    std::map<std::string, Order> newest = {};
  };
  void check(util::TimePoint now) const;
  [[noreturn]] void fail(const std::string& what) const;

  const std::string job_;
  repository::RetentionPolicy policy_;
  const schedule::TimeZone zone_;
  std::map<std::string, Sealed> ledger_;  // by id; nothing ever leaves it
  std::vector<Rule> rules_;
  std::set<Order> all_;
  std::set<Order> complete_;
  std::set<std::string> proved_;  // that were ever sealed
  std::set<std::string> there_;
  std::size_t removed_ = 0;
};

}  // namespace dbbackup::simulation
