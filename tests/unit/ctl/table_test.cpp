#include "ctl/table.hpp"

#include <catch2/catch.hpp>

#include "ctl/text_width.hpp"
#include "util/text.hpp"

namespace dbbackup::ctl {

TEST_CASE("ctl: a table is as wide as its content") {
  Table table({{"NAME"}, {"ROWS", Column::Align::right}, {"STATE"}});
  table.add({"shop", "1,204", state_cell("succeeded")});
  table.add({"a", "7", "queued"});
  CHECK(table.render(0, false) ==
        "NAME   ROWS  STATE\n"
        "shop  1,204  succeeded\n"
        "a         7  queued\n");
}

TEST_CASE("ctl: wide letters keep the columns straight") {
  Table table({{"NAME"}, {"STATE"}});
  table.add({"漢字", "ok"});
  table.add({"Grüße", "ok"});
  CHECK(table.render(0, false) ==
        "NAME   STATE\n"
        "漢字   ok\n"
        "Grüße  ok\n");
}

TEST_CASE("ctl: a narrow terminal cuts the widest column and keeps the short ones") {
  Table table({{"NAME"}, {"URL"}, {"STATE"}});
  table.add({"shop", "sqlite:///srv/a/very/long/path/to/the/shop/database.db", "ok"});
  const std::string text = table.render(40, false);
  for (const std::string& line : util::split(text, '\n')) CHECK(display_width(line) <= 40);
  CHECK(text.find("shop  sqlite:///srv") != std::string::npos);
  CHECK(text.find("...  ok") != std::string::npos);
  // Far too narrow: it wraps rather than showing nothing.
  CHECK(table.render(5, false).find("shop") != std::string::npos);
}

TEST_CASE("ctl: an id is never cut") {
  Table table({{.header = "ID", .whole = true}, {"NAME"}});
  table.add({"01jd8xaaaaaaaaaaaaaaaaaaaa", "a rather long name of something"});
  CHECK(table.render(30, false).find("01jd8xaaaaaaaaaaaaaaaaaaaa  a rat...\n") !=
        std::string::npos);
}

TEST_CASE("ctl: cells cannot forge lines or colours") {
  Table table({{"NAME"}});
  table.add({"evil\n\x1b[2Jname"});
  CHECK(table.render(0, false) == "NAME\nevil\\x0a\\x1b[2Jname\n");
}

TEST_CASE("ctl: colour appears only when wanted") {
  Table table({{"STATE"}});
  table.add({state_cell("failed")});
  CHECK(table.render(0, false) == "STATE\nfailed\n");
  CHECK(table.render(0, true) == "\x1b[1mSTATE\x1b[0m\n\x1b[31mfailed\x1b[0m\n");
  CHECK(state_style("succeeded") == Style::good);
  CHECK(state_style("partial") == Style::warning);
  CHECK(state_style("something new") == Style::plain);
}

}  // namespace dbbackup::ctl
