// SFTP, the file transfer protocol of SSH, spoken over the `ssh` program of the system.
//
// Why not a library: Debian 12's libcurl and libssh2 1.10 can neither replace a file atomically
// (posix-rename@openssh.com) nor sync one to disk (libcurl has no form for it), and both have to be
// taught keys, host keys and proxies that OpenSSH's own client knows. What is left to do here is
// version 3 of the protocol, which every server speaks, with a few of OpenSSH's extensions.
// Source: draft-ietf-secsh-filexfer-02; OpenSSH's PROTOCOL file, section 4.
//
// Threads: one at a time.
// Owns: the ssh process, which ends with the session.
// Errors: unavailable when the connection fails or breaks (the session is of no use afterwards),
// timed_out, permission_denied, no_space, io, cancelled.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "util/bytes.hpp"
#include "util/error.hpp"
#include "util/time.hpp"
#include "util/unique_fd.hpp"

namespace dbbackup::storage {

struct SftpSettings {
  std::string user;  // empty: ssh's default
  std::string host;
  std::string port;
  std::string private_key_file;
  std::string known_hosts_file;
  std::string program = "ssh";
};

struct SftpAttributes {
  std::uint64_t size = 0;
  std::uint32_t mode = 0;
  util::TimePoint modified;
  bool is_file() const;
  bool is_folder() const;
};

class SftpSession {
 public:
  // Connects. `stop` ends the session's work whenever it is requested.
  SftpSession(const SftpSettings& settings, util::Milliseconds stall_timeout);
  ~SftpSession();
  SftpSession(const SftpSession&) = delete;
  SftpSession& operator=(const SftpSession&) = delete;

  // For the calls that follow.
  void set_stop(std::stop_token stop) { stop_ = std::move(stop); }
  // Whether every request has been answered: after a failure in between the session is of no use.
  bool is_settled() const { return unanswered_ == 0; }
  // "posix-rename@openssh.com" and the like.
  bool has_extension(const std::string& name) const { return extensions_.contains(name); }

  std::optional<SftpAttributes> stat(const std::string& path);  // does not follow links
  // False when it is there already.
  bool make_folder(const std::string& path);
  // A new file with this content, synced where the server can.
  void write_file(const std::string& path, util::ByteView content);
  // Absent: empty. `choose` says which part is wanted, once the size of what was opened is known:
  // the name may stand for another file a moment later.
  struct Part {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
  };
  std::optional<util::Bytes> read_file(const std::string& path,
                                       const std::function<Part(std::uint64_t size)>& choose);
  void replace(const std::string& from, const std::string& to);  // posix-rename
  // False when `to` is there already.
  bool link(const std::string& from, const std::string& to);
  bool remove(const std::string& path);  // false: was not there, or is a folder
  // Empty for an absent folder; without "." and "..".
  std::vector<std::pair<std::string, SftpAttributes>> list(const std::string& path);
  struct Space {
    std::uint64_t total = 0;
    std::uint64_t free = 0;
  };
  Space space(const std::string& path);

 private:
  struct Packet {
    std::uint8_t type = 0;
    util::Bytes body;  // behind type and id
  };
  struct Status {
    std::uint32_t code = 0;
    std::string text;
  };

  void start(const SftpSettings& settings);
  void greet();
  // Sends a request and returns its id.
  std::uint32_t send(std::uint8_t type, const util::Bytes& body);
  Packet receive(std::uint32_t id);
  Packet receive_any(std::uint32_t* id);
  Packet ask(std::uint8_t type, const util::Bytes& body) { return receive(send(type, body)); }
  Status status_of(const Packet& packet) const;
  void require_ok(const Packet& packet, const std::string& what);
  [[noreturn]] void fail(const Status& status, const std::string& what) const;
  [[noreturn]] void broken(const std::string& what);
  std::optional<util::Bytes> open(const std::string& path, std::uint32_t flags,
                                  const std::string& what);
  void close(const util::Bytes& handle, const std::string& what);
  void write_bytes(util::ByteView bytes);
  void read_bytes(std::span<std::uint8_t> bytes);
  void wait_for(short events);

  const std::string server_;  // for messages
  const util::Milliseconds stall_timeout_;
  std::stop_token stop_;
  util::UniqueFd socket_;
  util::UniqueFd messages_;  // ssh's stderr
  int process_ = -1;
  std::uint32_t next_id_ = 1;
  std::size_t unanswered_ = 0;
  std::map<std::string, std::string> extensions_;
  std::map<std::uint32_t, Packet> early_;  // answers to requests that nobody waits for yet
};

}  // namespace dbbackup::storage
