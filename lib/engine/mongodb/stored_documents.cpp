#include "engine/mongodb/stored_documents.hpp"

#include "engine/mongodb/bson.hpp"
#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::mongodb {

namespace {
using util::ByteView;

// What a document at the front of `bytes` needs; 0 while even its length is incomplete.
std::size_t needed(ByteView bytes) { return bytes.size() < 4 ? 0 : util::read_u32(bytes); }
}  // namespace

void each_stored_document(repository::ArtifactReader& reader, const std::string& stream,
                          unsigned workers, util::Task& task,
                          const std::function<void(ByteView)>& take) {
  util::Bytes begun;
  const auto take_whole = [&](ByteView bytes) {
    while (!bytes.empty()) {
      const std::size_t size = needed(bytes);
      if (size == 0 || size > bytes.size()) return bytes;
      take(bytes.first(document_size(bytes)));
      bytes = bytes.subspan(size);
    }
    return bytes;
  };
  reader.open(stream)->read_all(
      [&](std::uint64_t, ByteView piece) {
        if (begun.empty()) {
          const ByteView rest = take_whole(piece);
          begun.assign(rest.begin(), rest.end());
          return;
        }
        begun.insert(begun.end(), piece.begin(), piece.end());
        const std::size_t rest = take_whole(begun).size();
        begun.erase(begun.begin(), begun.end() - static_cast<std::ptrdiff_t>(rest));
      },
      workers, task);
  if (begun.empty()) return;
  throw util::Error(util::ErrorCode::verification_failed,
                    util::cat("stream ", util::printable(stream), " ends inside a document"),
                    "run 'dbbackupctl artifact verify' on the artifact");
}

}  // namespace dbbackup::engine::mongodb
