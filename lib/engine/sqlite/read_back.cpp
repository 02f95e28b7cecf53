#include "engine/sqlite/read_back.hpp"

#include <unistd.h>

#include <cerrno>

#include "util/text.hpp"

namespace dbbackup::engine::sqlite_engine {

namespace {
using util::cat;
using util::Error;
using util::ErrorCode;

constexpr std::size_t kPiecesBehind = 64;

repository::RowHash hash_of(util::ByteView content) {
  repository::RowHash hash;
  hash.add(content);
  return hash;
}
}  // namespace

void read_at(int fd, std::uint64_t offset, std::span<std::uint8_t> out, const std::string& path) {
  while (!out.empty()) {
    const ssize_t got = ::pread(fd, out.data(), out.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw util::system_error(cat("cannot read ", path), errno);
    if (got == 0) throw Error(ErrorCode::io, cat(path, " is shorter than what was written"));
    out = out.subspan(static_cast<std::size_t>(got));
    offset += static_cast<std::uint64_t>(got);
  }
}

ReadBack::ReadBack(int fd, std::string path)
    : fd_(fd), path_(std::move(path)), pieces_(kPiecesBehind), thread_([this] { compare(); }) {}

ReadBack::~ReadBack() { pieces_.close(); }

void ReadBack::expect(std::uint64_t offset, util::ByteView content) {
  // False after a failure, which finish() tells.
  pieces_.push({offset, content.size(), hash_of(content)});
}

void ReadBack::finish() {
  pieces_.close();
  thread_.join();
  if (failure_) throw *failure_;
}

void ReadBack::compare() {
  try {
    util::Bytes content;
    while (const std::optional<Piece> piece = pieces_.pop()) {
      content.resize(piece->bytes);
      read_at(fd_, piece->offset, content, path_);
      if (hash_of(content) == piece->hash) continue;
      throw Error(ErrorCode::verification_failed,
                  cat(path_, " reads back other bytes at ", piece->offset, " than were written"),
                  "the target's disk or file system is damaged; restore to another one");
    }
  } catch (...) {
    failure_ = util::current_error();
    pieces_.close();
  }
}

}  // namespace dbbackup::engine::sqlite_engine
