#include "crypto/secret.hpp"

#include <catch2/catch.hpp>
#include <ostream>
#include <type_traits>

namespace dbbackup::crypto {
namespace {

template <typename T>
concept Streamable = requires(std::ostream& out, const T& value) {
  out << value;
};

// A secret reaches a log line or a comparison with text only through reveal().
static_assert(!Streamable<Secret>);
static_assert(!std::is_convertible_v<Secret, std::string>);
static_assert(!std::is_convertible_v<Secret, std::string_view>);
static_assert(!std::is_convertible_v<Secret, util::ByteView>);
static_assert(!std::is_convertible_v<Secret, bool>);
static_assert(!std::is_convertible_v<std::string, Secret>);
static_assert(!std::is_convertible_v<std::string_view, Secret>);
static_assert(!std::is_convertible_v<util::ByteView, Secret>);
static_assert(!std::is_constructible_v<Secret, const char*>);
static_assert(std::is_nothrow_move_constructible_v<Secret>);
static_assert(std::is_nothrow_move_assignable_v<Secret>);

TEST_CASE("a secret holds what it was given", "[crypto]") {
  const Secret secret = Secret::from_text("correct horse");
  CHECK(secret.size() == 13);
  CHECK_FALSE(secret.empty());
  CHECK(secret.reveal_text() == "correct horse");
  CHECK(Secret().empty());
  CHECK(Secret::from_text("").empty());
}

TEST_CASE("secrets compare by content and length", "[crypto]") {
  CHECK(Secret::from_text("a") == Secret::from_text("a"));
  CHECK_FALSE(Secret::from_text("a") == Secret::from_text("b"));
  CHECK_FALSE(Secret::from_text("a") == Secret::from_text("aa"));
  CHECK(Secret() == Secret::from_text(""));
}

TEST_CASE("secrets copy, move and survive assignment to themselves", "[crypto]") {
  Secret first = Secret::from_text("first");
  Secret second = Secret::from_text("second one");

  second = first;
  CHECK(second.reveal_text() == "first");
  CHECK(first.reveal_text() == "first");

  const Secret& alias = first;
  first = alias;
  CHECK(first.reveal_text() == "first");

  Secret third = std::move(first);
  CHECK(third.reveal_text() == "first");
  CHECK(first.empty());  // NOLINT(bugprone-use-after-move): the promise under test

  second = Secret::from_text("other");
  third = std::move(second);
  CHECK(third.reveal_text() == "other");
  CHECK(second.empty());  // NOLINT(bugprone-use-after-move)
}

TEST_CASE("wipe zeroes memory", "[crypto]") {
  std::string text = "to be forgotten";
  wipe(text.data(), text.size());
  CHECK(text == std::string(15, '\0'));
  wipe(nullptr, 0);
}

}  // namespace
}  // namespace dbbackup::crypto
