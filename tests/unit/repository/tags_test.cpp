#include <catch2/catch.hpp>

#include "repository/local_index.hpp"

namespace dbbackup::repository {
namespace {

PackContents pack_of(std::uint8_t name, const ChunkId& chunk) {
  PackContents pack;
  pack.id.fill(name);
  PackEntry entry;
  entry.id = chunk;
  entry.stored = 10;
  entry.plain = 20;
  pack.entries.push_back(entry);
  return pack;
}

struct Index {
  LocalIndex index{"", "01jd8x00000000000000000000"};
  ChunkId chunk{};
  crypto::Tag tag{};
  Index() {
    chunk.fill(7);
    tag.fill(9);
  }
};

TEST_CASE_METHOD(Index, "a tag answers only while its chunk may be relied on", "[repository]") {
  index.remember_tags({{tag, chunk}});
  CHECK_FALSE(index.find_by_tag(tag));  // the pack is not durable yet

  const PackContents pack = pack_of(1, chunk);
  index.add_pack(pack, true);
  CHECK(index.find_by_tag(tag) == chunk);

  index.set_state(pack.id, PackState::condemned);
  CHECK_FALSE(index.find_by_tag(tag));
  index.set_state(pack.id, PackState::lost);
  CHECK_FALSE(index.find_by_tag(tag));
  index.set_state(pack.id, PackState::usable);
  CHECK(index.find_by_tag(tag) == chunk);
}

TEST_CASE_METHOD(Index, "tags go with their packs and with a rescan", "[repository]") {
  index.add_pack(pack_of(1, chunk), true);
  index.remember_tags({{tag, chunk}});
  SECTION("removed pack") { index.remove_packs({pack_of(1, chunk).id}); }
  SECTION("rescan") { index.clear(); }
  index.add_pack(pack_of(2, chunk), true);
  CHECK_FALSE(index.find_by_tag(tag));
}

}  // namespace
}  // namespace dbbackup::repository
