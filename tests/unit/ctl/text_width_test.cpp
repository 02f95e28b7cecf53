#include "ctl/text_width.hpp"

#include <catch2/catch.hpp>

namespace dbbackup::ctl {

TEST_CASE("ctl: control characters and direction marks cannot reach the terminal") {
  CHECK(safe_text("plain text") == "plain text");
  CHECK(safe_text("a\x1b[31mb\nc\x7f") == "a\\x1b[31mb\\x0ac\\x7f");
  CHECK(safe_text("\xc2\x9b"
                  "2J") == "\\xc2\\x9b2J");  // C1: CSI in one character
  CHECK(safe_text("\xe2\x80\xae"
                  "txt") == "\\xe2\\x80\\xaetxt");  // right-to-left override
  CHECK(safe_text("\xff\xfe") == "\\xff\\xfe");
  CHECK(safe_text("caf\xc3") == "caf\\xc3");
  CHECK(safe_text("Grüße 漢字 🎉") == "Grüße 漢字 🎉");
}

TEST_CASE("ctl: width counts columns, not bytes") {
  CHECK(display_width("") == 0);
  CHECK(display_width("abc") == 3);
  CHECK(display_width("Grüße") == 5);
  CHECK(display_width("漢字") == 4);
  CHECK(display_width("🎉") == 2);
  CHECK(display_width("e\xcc\x81") == 1);  // e and a combining accent
}

TEST_CASE("ctl: cutting never splits a character") {
  CHECK(fit("short", 5) == "short");
  CHECK(fit("longer text", 8) == "longe...");
  CHECK(fit("漢字漢字漢字", 8) == "漢字...");  // a third one would need a column too many
  CHECK(display_width(fit("漢字漢字漢字", 8)) <= 8);
  CHECK(fit("abcdef", 2) == "..");
  CHECK(fit("abcdef", 0).empty());
}

}  // namespace dbbackup::ctl
