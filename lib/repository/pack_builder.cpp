#include "repository/pack_builder.hpp"

namespace dbbackup::repository {

PackBuilder::PackBuilder(std::size_t target, util::Bytes buffer) : bytes_(std::move(buffer)) {
  crypto::random_bytes(contents_.id.data(), contents_.id.size());
  bytes_.clear();
  bytes_.reserve(target + target / 16);
  const util::Bytes header = pack_header(contents_.id);
  bytes_.insert(bytes_.end(), header.begin(), header.end());
}

void PackBuilder::append(PackEntry entry, util::ByteView record) {
  entry.offset = static_cast<std::uint32_t>(bytes_.size());
  contents_.entries.push_back(entry);
  bytes_.insert(bytes_.end(), record.begin(), record.end());
}

void PackBuilder::finish(const Keys& keys) {
  const util::Bytes ending =
      pack_ending(keys.metadata, keys.repository_id, contents_.id, contents_.entries);
  bytes_.insert(bytes_.end(), ending.begin(), ending.end());
  contents_.size = bytes_.size();
}

}  // namespace dbbackup::repository
