#include <catch2/catch.hpp>
#include <numeric>

#include "crypto/cipher.hpp"
#include "util/text.hpp"

namespace dbbackup::crypto {
namespace {

// The form is on paper in safes, so it may never change. Computed by a separate program from the
// description in printable_key.cpp.
constexpr std::string_view kCountingKey =
    "dbk1-000g4-0r40m-30e20-9185g-r38e1-w8124-gk2ga-hc5rr-34d1p-70x3r-fv1zq";

Secret counting_key() {
  util::Bytes bytes(kKeyBytes);
  std::iota(bytes.begin(), bytes.end(), std::uint8_t{0});
  return Secret(bytes);
}

TEST_CASE("the printable form of a key is fixed", "[crypto]") {
  CHECK(to_printable_key(counting_key()) == kCountingKey);
  CHECK(parse_printable_key(kCountingKey).value() == counting_key());
}

TEST_CASE("random keys survive printing and typing", "[crypto]") {
  for (int i = 0; i < 200; ++i) {
    const Secret key = random_key();
    const std::string text = to_printable_key(key);
    REQUIRE(text.size() == 4 + 11 * 6);
    const auto typed = parse_printable_key(text);
    REQUIRE(typed);
    REQUIRE(*typed == key);
  }
}

TEST_CASE("case, blanks, dashes and look-alikes do not matter", "[crypto]") {
  std::string loud(kCountingKey);
  for (char& c : loud) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  std::string look_alike(kCountingKey);
  for (char& c : look_alike) c = c == '0' ? 'O' : c == '1' ? 'l' : c;
  std::string bare = util::join(util::split(kCountingKey, '-'), "");
  const std::string blanks = "  " + util::join(util::split(kCountingKey, '-'), " \t") + "\r\n";

  for (const std::string& text : {loud, look_alike, bare, blanks}) {
    const auto key = parse_printable_key(text);
    REQUIRE(key);
    CHECK(*key == counting_key());
  }
}

TEST_CASE("each single wrong or swapped symbol is noticed", "[crypto]") {
  const std::string good = util::join(util::split(kCountingKey, '-'), "");
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (const char wrong : std::string_view("0123456789abcdefghjkmnpqrstvwxyz")) {
      if (wrong == good[at]) continue;
      std::string typed = good;
      typed[at] = wrong;
      REQUIRE_FALSE(parse_printable_key(typed));
    }
    if (at > 0 && good[at] != good[at - 1]) {
      std::string typed = good;
      std::swap(typed[at], typed[at - 1]);
      REQUIRE_FALSE(parse_printable_key(typed));
    }
  }
}

TEST_CASE("text of another shape is not a key", "[crypto]") {
  const std::string good(kCountingKey);
  CHECK_FALSE(parse_printable_key(""));
  CHECK_FALSE(parse_printable_key("dbk1-"));
  CHECK_FALSE(parse_printable_key(good.substr(0, good.size() - 1)));
  CHECK_FALSE(parse_printable_key(good + "0"));
  CHECK_FALSE(parse_printable_key("dbk2" + good.substr(4)));
  CHECK_FALSE(parse_printable_key(good.substr(5)));
  std::string foreign = good;
  foreign.back() = 'u';  // not in the alphabet
  CHECK_FALSE(parse_printable_key(foreign));
  foreign.back() = '\xc3';
  CHECK_FALSE(parse_printable_key(foreign));
}

}  // namespace
}  // namespace dbbackup::crypto
