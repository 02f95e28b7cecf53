// How to reach a MySQL or MariaDB server, and what a database's options ask for.
//
// URL: mysql://user@host:port/database?parameter=value, or mariadb://. A Unix socket is named by
// the parameter `socket`; a host that is empty or "localhost" means the usual socket when no port
// is given. Parameters and options are the same list; options of the database record win.
//
// Threads: values. Errors: usage.
#pragma once

#include <string>
#include <vector>

#include "engine/entry.hpp"
#include "util/time.hpp"

namespace dbbackup::engine::mysql {

enum class Tls { off, preferred, required, verify };
enum class Consistency { strict, relaxed };
enum class Definers { keep, login };
enum class Binlog { on, off };

struct Login {
  std::string host;
  std::uint16_t port = 0;  // 0: 3306
  std::string socket;      // empty: TCP, or the usual socket for localhost
  std::string user;
  Tls tls = Tls::preferred;
  std::string tls_ca;
  std::string tls_cert;
  std::string tls_key;
  util::Milliseconds connect_timeout{10000};
};

struct Choices {
  Consistency consistency = Consistency::strict;
  util::Milliseconds lock_wait{30000};
  Definers definers = Definers::keep;
  bool restore_users = false;
  Binlog binlog = Binlog::on;
};

struct Place {
  Login login;
  Choices choices;
  std::string database;
};

void parse_mysql_url(const std::string& rest, Address& address);
Place place_of(const Address& address, const Options& options);
std::vector<OptionInfo> mysql_options();

}  // namespace dbbackup::engine::mysql
