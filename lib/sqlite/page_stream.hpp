// A SQLite database as a row of pages: a consistent copy of one streams out as fixed blocks while
// others write to it, and such a stream can be opened again as a database, both without a temporary
// file.
//
// Two ways lead out. Under a rollback journal a read transaction holds a SHARED lock, no byte of
// the file can change, and the file is read straight through SQLite's own descriptor (opening it a
// second time would drop SQLite's POSIX locks on close). In WAL mode part of the content lies in
// the log, and SQLite's backup API collects it into a virtual file that passes each block on as
// soon as it is full. That API writes pages in ascending order, except page 1, which it touches
// again at the end: block 0 is therefore delivered last. It also gives the copy header counters of
// its own; they are put back to the source's.
//
// Threads: a function runs on its caller's thread. PageSource::open() and the connections it
// returns may be used from several threads when `read` may. Errors: those of Connection; cancelled
// after a stop; whatever the callbacks throw comes out unchanged.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <stop_token>
#include <string>

#include "sqlite/sqlite.hpp"
#include "util/bytes.hpp"

namespace dbbackup::sqlite {

class PageVfs;

// Facts of a database that its first 100 bytes hold. Source: sqlite.org/fileformat2.html
// section 1.3
struct PageHeader {
  std::uint32_t change_counter = 0;
  std::uint32_t version_valid_for = 0;
  std::uint32_t writer_version = 0;
};

struct PageCopy {
  std::uint32_t page_size = 0;
  std::uint64_t bytes = 0;
  PageHeader header;
};

// `content` is valid during the call; all blocks but the last are full.
using BlockSink = std::function<void(std::uint64_t number, util::ByteView content)>;

// Copies the database as the source's open read transaction sees it. An empty file has no blocks.
// Requires: source is in a read transaction; block_bytes is a multiple of 65536, so that every page
// size divides it.
PageCopy copy_pages(Connection& source, std::uint32_t block_bytes, const BlockSink& take,
                    const std::stop_token& stop);

// A read-only database over random access to its bytes.
// Requires: outlives the connections it opens.
class PageSource {
 public:
  // Fills `out` from `offset`; the range lies within the stream's bytes.
  using Read = std::function<void(std::uint64_t offset, std::span<std::uint8_t> out)>;

  // `label` stands for the path in messages.
  PageSource(std::string label, std::uint64_t bytes, Read read);
  ~PageSource();
  PageSource(const PageSource&) = delete;
  PageSource& operator=(const PageSource&) = delete;

  Connection open();

  // Runs `work`; when it fails because `read` threw, that exception comes out instead of SQLite's
  // "disk I/O error".
  template <typename Work>
  decltype(auto) run(Work&& work) {
    try {
      return work();
    } catch (...) {
      rethrow();
      throw;
    }
  }

 private:
  class File;
  void rethrow();
  std::string label_;
  std::unique_ptr<File> file_;
  std::unique_ptr<PageVfs> vfs_;
};

// Makes `target` an equal of `source` in one transaction of the target; other connections see the
// old content or the new. `copied` is told the bytes done so far. Gives up with `unavailable` when
// readers of the target do not let go within `patience`. Errors: unsupported when the target is in
// WAL mode and has another page size.
void copy_pages_into(Connection& source, Connection& target, util::Milliseconds patience,
                     const std::function<void(std::uint64_t bytes)>& copied,
                     const std::stop_token& stop);

}  // namespace dbbackup::sqlite
