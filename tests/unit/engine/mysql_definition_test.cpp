// MySQL definitions as text: definers, statuses, names, and CREATE TABLE taken apart.
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "engine/engine.hpp"
#include "engine/mysql/definition.hpp"
#include "engine/mysql/login.hpp"
#include "engine/mysql/row_reader.hpp"
#include "engine/mysql/table_making.hpp"

namespace dbbackup::engine::mysql {
namespace {

TEST_CASE("a definer and a status go back where they were") {
  Definition view;
  view.kind = Kind::view;
  view.sql = "CREATE ALGORITHM=MERGE SQL SECURITY DEFINER VIEW `v` AS select 1 AS `1`";
  view.definer = "`a`@`b`";
  CHECK(view.statement("`a`@`b`", "") ==
        "CREATE ALGORITHM=MERGE DEFINER=`a`@`b` SQL SECURITY DEFINER VIEW `v` AS select 1 AS `1`");
  CHECK(view.statement("", "") == view.sql);
  Definition event;
  event.kind = Kind::event;
  event.sql = "CREATE EVENT `e` ON SCHEDULE EVERY 1 DAY ON COMPLETION PRESERVE DO SELECT 1";
  event.definer = "`a`@`b`";
  CHECK(event.statement("`c`@`d`", "DISABLE") ==
        "CREATE DEFINER=`c`@`d` EVENT `e` ON SCHEDULE EVERY 1 DAY ON COMPLETION PRESERVE DISABLE "
        "DO SELECT 1");
}

TEST_CASE("a definition survives its line, whatever bytes it holds") {
  Definition definition;
  definition.kind = Kind::package_body;
  definition.name = "t\tab\n";
  definition.sql = std::string("a\0\\N\xc4'", 6);
  definition.status = "\\N";
  definition.broken = true;
  const Definition read = parse_definition(definition_line(definition));
  CHECK(read.kind == definition.kind);
  CHECK(read.name == definition.name);
  CHECK(read.sql == definition.sql);
  CHECK(read.status == definition.status);
  CHECK(read.broken);
  CHECK_THROWS(parse_definition("TABLE\tx"));
}

TEST_CASE("only qualifiers of the database itself are renamed") {
  CHECK(
      rename_database("select `a`.`a`,'`a`.`x`',\"`a`.\" from `a`.`t` join `b`.`a`", "a", "n`w") ==
      "select `n``w`.`a`,'`a`.`x`',\"`a`.\" from `n``w`.`t` join `b`.`a`");
}

TEST_CASE("the hash of definitions does not depend on the database's name") {
  Definition view;
  view.kind = Kind::view;
  view.name = "v";
  view.sql = "CREATE VIEW `v` AS select `one`.`t`.`a` AS `a` from `one`.`t`";
  Definition other = view;
  other.sql = rename_database(view.sql, "one", "two");
  CHECK(hash_definitions({view}, "one") == hash_definitions({other}, "two"));
  other.sql += " ";
  CHECK_FALSE(hash_definitions({view}, "one") == hash_definitions({other}, "two"));
}

TEST_CASE("secondary and foreign keys come out of a CREATE TABLE, everything else stays") {
  const TableMaking making = split_table(
      "CREATE TABLE `t` (\n"
      "  `id` int(11) NOT NULL COMMENT 'KEY `x` (`y`),\n  KEY (`z`)',\n"
      "  `KEY ` int(11) DEFAULT NULL,\n"
      "  PRIMARY KEY (`id`),\n"
      "  UNIQUE KEY `u` (`KEY `),\n"
      "  KEY `k` (`id`,`KEY `) COMMENT 'a, b',\n"
      "  CONSTRAINT `f``k` FOREIGN KEY (`KEY `) REFERENCES `p` (`id`),\n"
      "  CONSTRAINT `c` CHECK (`id` > 0)\n"
      ") ENGINE=InnoDB",
      "t");
  CHECK(making.create ==
        "CREATE TABLE `t` (\n"
        "  `id` int(11) NOT NULL COMMENT 'KEY `x` (`y`),\n  KEY (`z`)',\n"
        "  `KEY ` int(11) DEFAULT NULL,\n"
        "  PRIMARY KEY (`id`),\n"
        "  CONSTRAINT `c` CHECK (`id` > 0)\n"
        ") ENGINE=InnoDB");
  CHECK(making.keys ==
        "ALTER TABLE `t` ADD UNIQUE KEY `u` (`KEY `), ADD KEY `k` (`id`,`KEY `) COMMENT 'a, b'");
  CHECK(making.foreign ==
        "ALTER TABLE `t` ADD CONSTRAINT `f``k` FOREIGN KEY (`KEY `) REFERENCES `p` (`id`)");
}

TEST_CASE("floats are printed so that a server that reads doubles gets them back") {
  for (const float value : {0.1F, 16777217.0F, std::numeric_limits<float>::max(),
                            std::numeric_limits<float>::denorm_min(), -1.17549435e-38F}) {
    std::string text;
    append_float(value, text);
    const double read = std::stod(text);
    CHECK(static_cast<float>(read) == value);
    CHECK(std::abs(read) <= static_cast<double>(std::numeric_limits<float>::max()));
  }
  std::string zero;
  append_real(-0.0, zero);
  CHECK(zero == "-0");
}

TEST_CASE("URLs of servers") {
  const Address address =
      parse_url("mariadb://m%C3%BCller@[::1]:3307/shop?tls=verify&tls_ca=/etc/ca.pem");
  CHECK(address.engine == "mariadb");
  CHECK(address.user == "m\xc3\xbcller");
  CHECK(address.host == "::1");
  CHECK(address.port == 3307);
  const Address socket = parse_url("mysql://app@localhost/shop?socket=/run/mysqld/mysqld.sock");
  CHECK(place_of(socket, {}).login.socket == "/run/mysqld/mysqld.sock");
  CHECK(place_of(socket, {{"socket", "/other"}}).login.socket == "/other");
  CHECK(place_of(address, {}).login.tls == Tls::verify);
  for (const char* wrong :
       {"mariadb://host", "mariadb://host/", "mariadb://host/a/b", "mariadb://host:0/a",
        "mariadb://host:99999/a", "mariadb://user:secret@host/a", "mariadb://host/a?tls=maybe",
        "mariadb://host/a?tsl=off", "mariadb://host/a?socket=relative", "mariadb://[::1/a"}) {
    INFO(wrong);
    CHECK_THROWS_AS(parse_url(wrong), util::Error);
  }
}

}  // namespace
}  // namespace dbbackup::engine::mysql
