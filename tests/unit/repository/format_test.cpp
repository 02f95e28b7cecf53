// The worked example of FORMAT.md, computed anew from the golden repository: every line of it must
// stand in the page as it is.
#include "repository/format.hpp"

#include <catch2/catch.hpp>
#include <filesystem>

#include "repository/chunk_codec.hpp"
#include "repository_fixture.hpp"
#include "util/file.hpp"
#include "util/text.hpp"

using namespace dbbackup;
using namespace dbbackup::test;
using util::cat;
using util::to_hex;

namespace {

class Page {
 public:
  Page()
      : text_(util::as_text(
            util::read_file(std::filesystem::path(DBBACKUP_SOURCE_DIR) / "lib/repository/FORMAT.md")
                .value())) {}
  // Long hex stands in lines of 32 bytes.
  void has(const std::string& what, const std::string& value) {
    std::string expected = cat("    ", what, "\n");
    for (std::size_t at = 0; at < value.size(); at += 64) {
      expected += cat("        ", value.substr(at, 64), "\n");
    }
    INFO("FORMAT.md lacks this:\n" << expected);
    CHECK(text_.find(expected) != std::string::npos);
  }

 private:
  const std::string text_;
};

Bytes slice(ByteView bytes, std::size_t offset, std::size_t length) {
  const ByteView part = bytes.subspan(offset, length);
  return {part.begin(), part.end()};
}

}  // namespace

TEST_CASE("the worked example of FORMAT.md is what the golden repository holds") {
  Page page;
  const auto store = storage::open_local_store(
      std::string(DBBACKUP_SOURCE_DIR) + "/tests/golden/repository-v1", storage::StoreMode::read);
  const std::string id = decode_descriptor(store->get("config")).id;
  const Keys keys(id, unlock_master(*store, kSlotPrefix, id, {.daemon_key = test_key(1)}));
  page.has("repository id", id);
  page.has("master key", to_hex(keys.master.reveal()));
  page.has("subkey 1", to_hex(keys.chunk_id.reveal()));
  page.has("subkey 2", to_hex(keys.chunk_cipher.reveal()));
  page.has("subkey 3", to_hex(keys.metadata.reveal()));

  std::string pack_name;
  store->list("packs/", [&](const storage::ObjectInfo& info) { pack_name = info.key; });
  const Bytes pack = store->get(pack_name);
  const PackId pack_id = pack_id_from_key(pack_name).value();
  const PackContents contents = read_pack_contents(
      keys.metadata, id, pack_id, pack.size(),
      [&](std::uint64_t offset, std::uint64_t length) { return slice(pack, offset, length); });

  // A page of the database: 4096 bytes 01.
  const Bytes plain(4096, 1);
  const ChunkId chunk = chunk_id(keys, plain);
  page.has("chunk id of 4096 bytes 01", to_hex(chunk));
  const auto entry = std::find_if(contents.entries.begin(), contents.entries.end(),
                                  [&](const PackEntry& each) { return each.id == chunk; });
  REQUIRE(entry != contents.entries.end());
  const Bytes record = slice(pack, entry->offset, entry->stored);
  page.has(cat("its record: ", entry->stored, " bytes at byte ", entry->offset), to_hex(record));
  Bytes associated = util::to_bytes(id);
  associated.insert(associated.end(), chunk.begin(), chunk.end());
  associated.push_back(entry->kind);
  util::append_u32(associated, entry->plain);
  page.has("associated data of its seal", to_hex(associated));
  const auto payload = crypto::open(keys.chunk_cipher, ByteView(record).subspan(1), associated);
  REQUIRE(payload);
  CHECK(record.size() == 1 + 24 + payload->size() + 16);
  page.has("its payload, a zstd frame", to_hex(*payload));
  Bytes opened;
  open_record(keys, *entry, record, opened);
  CHECK(opened == plain);

  page.has(cat("first 32 bytes of ", pack_name), to_hex(slice(pack, 0, 32)));
  const std::size_t sealed = 40 + 48 * contents.entries.size();
  page.has(cat("its last 12 bytes; the sealed trailer has ", sealed, " bytes for ",
               contents.entries.size(), " entries"),
           to_hex(slice(pack, pack.size() - 12, 12)));
  Bytes trailer_associated = util::to_bytes(id);
  trailer_associated.insert(trailer_associated.end(), pack.begin(), pack.begin() + 32);
  const auto trailer = crypto::open(
      keys.metadata, ByteView(pack).subspan(pack.size() - 12 - sealed, sealed), trailer_associated);
  REQUIRE(trailer);
  CHECK(trailer->size() == sealed - 40);
  const auto number = static_cast<std::size_t>(entry - contents.entries.begin());
  page.has("that chunk's entry in the trailer", to_hex(slice(*trailer, 48 * number, 48)));

  std::string manifest_name;
  store->list("manifests/", [&](const storage::ObjectInfo& info) { manifest_name = info.key; });
  const Bytes content =
      open_object(keys.metadata, kManifestMagic, id, manifest_name, store->get(manifest_name));
  const Manifest manifest = decode_manifest(util::json::parse(util::as_text(content)).get_object());
  REQUIRE(manifest.streams[1].name == "database");
  std::vector<ChunkRef> pages;
  for (std::uint8_t i = 0; i < 3; ++i) pages.push_back({chunk_id(keys, Bytes(4096, i)), 4096});
  const Bytes list = encode_chunk_list(0, pages);
  CHECK(to_hex(chunk_id(keys, list)) == manifest.chunk_lists[1]);
  page.has("chunk list of stream database: three pages of 00, 01 and 02", to_hex(list));
  page.has("its id, in the manifest", manifest.chunk_lists[1]);
}
