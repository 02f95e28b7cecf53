#include "crypto/cipher.hpp"

#include <atomic>
#include <catch2/catch.hpp>
#include <functional>
#include <numeric>
#include <thread>

#include "util/error.hpp"

namespace dbbackup::crypto {
namespace {

util::Bytes hex(std::string_view text) { return util::from_hex(text).value(); }

util::Bytes concat(std::initializer_list<util::Bytes> parts) {
  util::Bytes all;
  for (const util::Bytes& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

// Bytes 00 01 02 ... 1f
Secret counting_key() {
  util::Bytes bytes(kKeyBytes);
  std::iota(bytes.begin(), bytes.end(), std::uint8_t{0});
  return Secret(bytes);
}

util::ErrorCode code_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const util::Error& error) {
    return error.code();
  }
  FAIL("no error");
  return {};
}

// Source: draft-irtf-cfrg-xchacha-03, appendix A.3.1.
struct DraftVector {
  Secret key{hex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f")};
  util::Bytes nonce = hex("404142434445464748494a4b4c4d4e4f5051525354555657");
  util::Bytes associated = hex("50515253c0c1c2c3c4c5c6c7");
  util::Bytes cipher =
      hex("bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f"
          "4eda7e39ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f"
          "76b2383565d3fff921f9664c97637da9768812f615c68b13b52e");
  util::Bytes tag = hex("c0875924c1c7987947deafd8780acf49");
  std::string_view plain =
      "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
      "sunscreen would be it.";
};

TEST_CASE("open agrees with the published XChaCha20-Poly1305 vector", "[crypto]") {
  const DraftVector vector;
  const auto plain =
      open(vector.key, concat({vector.nonce, vector.cipher, vector.tag}), vector.associated);
  REQUIRE(plain);
  CHECK(util::as_text(*plain) == vector.plain);
}

// Source: RFC 8439 section 2.5.2.
TEST_CASE("secret_tag agrees with the published Poly1305 vector", "[crypto]") {
  const Secret key(
      *util::from_hex("85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b"));
  const Tag tag = secret_tag(key, util::as_bytes("Cryptographic Forum Research Group"));
  CHECK(util::to_hex(tag) == "a8061dc1305136c6c22b8baf0c0127a9");
}

TEST_CASE("what was sealed can be opened", "[crypto]") {
  const Secret key = random_key();
  const util::Bytes associated = util::to_bytes("chunk id");
  for (const std::size_t size : {0U, 1U, 63U, 64U, 65U, 65536U, 1000000U}) {
    util::Bytes plain(size);
    random_bytes(plain.data(), plain.size());
    const util::Bytes sealed = seal(key, plain, associated);
    CHECK(sealed.size() == size + kSealOverhead);
    CHECK(open(key, sealed, associated) == plain);
  }
}

TEST_CASE("sealing appends", "[crypto]") {
  const Secret key = random_key();
  util::Bytes pack = util::to_bytes("header");
  seal(key, util::as_bytes("one"), {}, pack);
  const std::size_t first_end = pack.size();
  seal(key, util::as_bytes("two"), {}, pack);

  CHECK(util::as_text(util::ByteView(pack).first(6)) == "header");
  const util::ByteView first = util::ByteView(pack).subspan(6, first_end - 6);
  const util::ByteView second = util::ByteView(pack).subspan(first_end);
  CHECK(util::as_text(open(key, first, {}).value()) == "one");
  CHECK(util::as_text(open(key, second, {}).value()) == "two");
}

TEST_CASE("open_into reuses the caller's buffer and empties it on failure", "[crypto]") {
  const Secret key = random_key();
  util::Bytes sealed = seal(key, util::as_bytes("content"), {});
  util::Bytes buffer(1000, 0xff);
  const std::uint8_t* memory = buffer.data();

  REQUIRE(open_into(key, sealed, {}, buffer));
  CHECK(util::as_text(buffer) == "content");
  CHECK(buffer.data() == memory);

  sealed.back() ^= 1U;
  CHECK_FALSE(open_into(key, sealed, {}, buffer));
  CHECK(buffer.empty());

  buffer = {1, 2, 3};
  CHECK_FALSE(open_into(key, util::as_bytes("too short"), {}, buffer));
  CHECK(buffer.empty());
}

TEST_CASE("a nonce is never used twice", "[crypto]") {
  const Secret key = random_key();
  CHECK(seal(key, util::as_bytes("same"), {}) != seal(key, util::as_bytes("same"), {}));
}

TEST_CASE("every flipped bit of a sealed message is noticed", "[crypto]") {
  const Secret key = random_key();
  const util::Bytes associated = util::to_bytes("id");
  util::Bytes sealed = seal(key, util::as_bytes("fourteen bytes"), associated);
  std::size_t noticed = 0;
  for (std::size_t bit = 0; bit < sealed.size() * 8; ++bit) {
    const auto mask = static_cast<std::uint8_t>(1U << bit % 8);
    sealed[bit / 8] ^= mask;
    if (!open(key, sealed, associated)) ++noticed;
    sealed[bit / 8] ^= mask;
  }
  CHECK(noticed == sealed.size() * 8);
  CHECK(open(key, sealed, associated));
}

TEST_CASE("every truncation and extension of a sealed message is noticed", "[crypto]") {
  const Secret key = random_key();
  util::Bytes sealed = seal(key, util::as_bytes("fourteen bytes"), {});
  for (std::size_t size = 0; size < sealed.size(); ++size) {
    CHECK_FALSE(open(key, util::ByteView(sealed).first(size), {}));
  }
  sealed.push_back(0);
  CHECK_FALSE(open(key, sealed, {}));
}

TEST_CASE("another key or other associated data open nothing", "[crypto]") {
  const Secret key = random_key();
  const util::Bytes associated = util::to_bytes("id");
  const util::Bytes sealed = seal(key, util::as_bytes("content"), associated);
  CHECK_FALSE(open(random_key(), sealed, associated));
  CHECK_FALSE(open(key, sealed, util::to_bytes("ie")));
  CHECK_FALSE(open(key, sealed, {}));
}

TEST_CASE("a key of another length is refused", "[crypto]") {
  const Secret shorter(util::Bytes(31));
  CHECK(code_of([&] { seal(shorter, {}, {}); }) == util::ErrorCode::internal);
  CHECK(code_of([&] { open(shorter, util::Bytes(100), {}); }) == util::ErrorCode::internal);
  CHECK(code_of([&] { keyed_hash(Secret(), {}); }) == util::ErrorCode::internal);
  CHECK(code_of([&] { derive(shorter, 1, "eight ch"); }) == util::ErrorCode::internal);
  CHECK(code_of([&] { to_printable_key(shorter); }) == util::ErrorCode::internal);
}

TEST_CASE("hashes agree with vectors of an independent implementation", "[crypto]") {
  // Source: Python's hashlib.blake2b(..., digest_size=32, key=bytes(range(32)))
  CHECK(util::to_hex(keyed_hash(counting_key(), util::as_bytes("abc"))) ==
        "d63a32d3e44738d7907f964316c241adaba0abfeabc32349677578a15a203f7f");
  CHECK(util::to_hex(keyed_hash(counting_key(), {})) ==
        "4e51e7a913fc80137da52880fecca175bf81e117d5c68126dc2774033517ea0d");
  CHECK(util::to_hex(plain_hash(util::as_bytes("abc"))) ==
        "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
}

TEST_CASE("derived keys agree with an independent implementation", "[crypto]") {
  // Source: Python's hashlib.blake2b with key, salt = number, person = context
  CHECK(util::to_hex(derive(counting_key(), 7, "chunkkey").reveal()) ==
        "211f82d6f167ba99d26a0505ff7f9322128974f3f44f354e35abe5c47690ff5e");
}

TEST_CASE("derived keys are separated by master, number and context", "[crypto]") {
  const Secret master = random_key();
  const Secret key = derive(master, 1, "chunkkey");
  CHECK(key.size() == kKeyBytes);
  CHECK(key == derive(master, 1, "chunkkey"));
  CHECK_FALSE(key == master);
  CHECK_FALSE(key == derive(master, 2, "chunkkey"));
  CHECK_FALSE(key == derive(master, 1, "manifest"));
  CHECK_FALSE(key == derive(random_key(), 1, "chunkkey"));
  CHECK(code_of([&] { derive(master, 1, "short"); }) == util::ErrorCode::internal);
  CHECK(code_of([&] { derive(master, 1, "much too long"); }) == util::ErrorCode::internal);
}

TEST_CASE("stretch agrees with a published Argon2id vector", "[crypto]") {
  // Source: libsodium, test/default/pwhash_argon2id.c, the encoded string with m=4096,t=19,p=1
  const Secret passphrase =
      Secret::from_text("^T5H$JYt39n%K*j:W]!1s?vg!:jGi]Ax?..l7[p0v:1jHTpla9;]bUN;?bWyCbtqg ");
  const StretchCost cost{.operations = 19, .memory_bytes = 4096U * 1024U};
  CHECK(util::to_hex(stretch(passphrase, util::as_bytes(">A 16-bytes salt"), cost).reveal()) ==
        "96d07fb9ed643ed04c0467eccac3293e2804ea188d10a67dbecf2f2cd5434060");
}

TEST_CASE("stretch separates passphrases and salts and refuses what it cannot do", "[crypto]") {
  const StretchCost cheap{.operations = 1, .memory_bytes = 8192};
  const Secret passphrase = Secret::from_text("passphrase");
  const util::Bytes salt(16, 1);
  const Secret key = stretch(passphrase, salt, cheap);
  CHECK(key.size() == kKeyBytes);
  CHECK(key == stretch(passphrase, salt, cheap));
  CHECK_FALSE(key == stretch(Secret::from_text("Passphrase"), salt, cheap));
  CHECK_FALSE(key == stretch(passphrase, util::Bytes(16, 2), cheap));
  CHECK(stretch(Secret(), salt, cheap).size() == kKeyBytes);

  CHECK(code_of([&] { stretch(passphrase, util::Bytes(15), cheap); }) == util::ErrorCode::internal);
  CHECK(code_of([&] { stretch(passphrase, salt, {0, 8192}); }) == util::ErrorCode::internal);
  CHECK(code_of([&] { stretch(passphrase, salt, {1, 100}); }) == util::ErrorCode::internal);
  CHECK(code_of([&] {
          stretch(passphrase, salt, {1, ~std::uint64_t{0}});
        }) == util::ErrorCode::internal);
}

TEST_CASE("random keys differ", "[crypto]") {
  CHECK(random_key().size() == kKeyBytes);
  CHECK_FALSE(random_key() == random_key());
}

TEST_CASE("all constructions may be used from many threads at once", "[crypto]") {
  const Secret key = random_key();
  std::atomic<int> good{0};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int round = 0; round < 50; ++round) {
          const util::Bytes plain(1000, static_cast<std::uint8_t>(round));
          if (open(key, seal(key, plain, {}), {}) == plain) ++good;
        }
      });
    }
  }
  CHECK(good == 200);
}

}  // namespace
}  // namespace dbbackup::crypto
