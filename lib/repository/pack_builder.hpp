// A pack in memory while it fills (FORMAT.md section 5).
//
// Threads: one at a time.
#pragma once

#include "repository/format.hpp"
#include "repository/keys.hpp"

namespace dbbackup::repository {

class PackBuilder {
 public:
  PackBuilder() = default;
  // Begins a pack of about `target` bytes under a new random id, in `buffer`'s memory when it has
  // some.
  PackBuilder(std::size_t target, util::Bytes buffer);

  bool empty() const { return contents_.entries.empty(); }
  std::size_t bytes() const { return bytes_.size(); }
  // The entry's offset is set here.
  void append(PackEntry entry, util::ByteView record);
  // Adds the trailer; from now on content() is the whole object.
  void finish(const Keys& keys);

  const PackContents& contents() const { return contents_; }
  util::ByteView content() const { return bytes_; }
  // Gives the memory back for the next pack.
  util::Bytes release() { return std::move(bytes_); }

 private:
  PackContents contents_;
  util::Bytes bytes_;
};

}  // namespace dbbackup::repository
