// One row's XXH3-128 when the row does not come in one piece.
//
// Threads: one at a time.
#pragma once

#include <memory>

#include "repository/stream.hpp"

namespace dbbackup::repository {

class RowHasher {
 public:
  RowHasher();
  ~RowHasher();
  RowHasher(const RowHasher&) = delete;
  RowHasher& operator=(const RowHasher&) = delete;

  void update(util::ByteView piece);
  // Adds the row to `hash` and begins the next one.
  void finish(RowHash& hash);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace dbbackup::repository
