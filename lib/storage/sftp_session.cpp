#include "storage/sftp_session.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <deque>

#include "util/text.hpp"

extern char** environ;

namespace dbbackup::storage {

using util::Bytes;
using util::ByteView;
using util::cat;
using util::Error;
using util::ErrorCode;

namespace {

// Source: draft-ietf-secsh-filexfer-02 sections 3 and 7.
enum Type : std::uint8_t {
  kInit = 1,
  kVersion = 2,
  kOpen = 3,
  kClose = 4,
  kRead = 5,
  kWrite = 6,
  kLstat = 7,
  kFstat = 8,
  kOpendir = 11,
  kReaddir = 12,
  kRemove = 13,
  kMkdir = 14,
  kStatusReply = 101,
  kHandleReply = 102,
  kDataReply = 103,
  kNameReply = 104,
  kAttrsReply = 105,
  kExtended = 200,
  kExtendedReply = 201,
};
enum Code : std::uint32_t {
  kOk = 0,
  kEof = 1,
  kNoSuchFile = 2,
  kPermissionDenied = 3,
  kFailure = 4,
  kConnectionLost = 7,
  kUnsupported = 8,
};
constexpr std::uint32_t kOpenRead = 0x1;
constexpr std::uint32_t kOpenWrite = 0x2;
constexpr std::uint32_t kOpenCreate = 0x8;
constexpr std::uint32_t kOpenExclusive = 0x20;
constexpr std::uint32_t kHasSize = 0x1;
constexpr std::uint32_t kHasOwner = 0x2;
constexpr std::uint32_t kHasMode = 0x4;
constexpr std::uint32_t kHasTimes = 0x8;

// The largest piece every server takes (section 3), and how many of them are under way at once, so
// that a distant server is not waited for after each.
constexpr std::size_t kPiece = std::size_t{32} << 10U;
constexpr std::size_t kUnderWay = 64;
constexpr std::size_t kLargestPacket = std::size_t{1} << 20U;
constexpr int kPollSlice = 200;  // milliseconds between looks at the stop token

// Integers are big-endian, text has its length in front.
class Writer {
 public:
  Writer& u32(std::uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8) {
      bytes_.push_back(static_cast<std::uint8_t>(value >> static_cast<unsigned>(shift)));
    }
    return *this;
  }
  Writer& u64(std::uint64_t value) {
    return u32(static_cast<std::uint32_t>(value >> 32U)).u32(static_cast<std::uint32_t>(value));
  }
  Writer& text(ByteView value) {
    u32(static_cast<std::uint32_t>(value.size()));
    bytes_.insert(bytes_.end(), value.begin(), value.end());
    return *this;
  }
  Writer& text(std::string_view value) { return text(util::as_bytes(value)); }
  operator const Bytes&() const { return bytes_; }  // NOLINT(google-explicit-constructor)

 private:
  Bytes bytes_;
};

class Reader {
 public:
  explicit Reader(ByteView bytes) : rest_(bytes) {}
  std::uint32_t u32() {
    const ByteView four = take(4);
    return static_cast<std::uint32_t>(four[0]) << 24U | static_cast<std::uint32_t>(four[1]) << 16U |
           static_cast<std::uint32_t>(four[2]) << 8U | four[3];
  }
  std::uint64_t u64() {
    const std::uint64_t high = u32();
    return high << 32U | u32();
  }
  ByteView bytes() { return take(u32()); }
  std::string text() { return std::string(util::as_text(bytes())); }
  bool empty() const { return rest_.empty(); }

 private:
  ByteView take(std::size_t size) {
    if (size > rest_.size()) throw Error(ErrorCode::unavailable, "an SFTP answer ends too early");
    const ByteView taken = rest_.first(size);
    rest_ = rest_.subspan(size);
    return taken;
  }
  ByteView rest_;
};

SftpAttributes read_attributes(Reader& reader) {
  SftpAttributes attributes;
  const std::uint32_t flags = reader.u32();
  if (flags & kHasSize) attributes.size = reader.u64();
  if (flags & kHasOwner) reader.u64();
  if (flags & kHasMode) attributes.mode = reader.u32();
  if (flags & kHasTimes) {
    reader.u32();
    attributes.modified = util::TimePoint(util::Seconds(reader.u32()));
  }
  return attributes;
}

}  // namespace

bool SftpAttributes::is_file() const { return S_ISREG(mode); }
bool SftpAttributes::is_folder() const { return S_ISDIR(mode); }

SftpSession::SftpSession(const SftpSettings& settings, util::Milliseconds stall_timeout)
    : server_(settings.host), stall_timeout_(stall_timeout) {
  start(settings);
  greet();
}

SftpSession::~SftpSession() {
  socket_.reset();
  if (process_ < 0) return;
  ::kill(process_, SIGTERM);
  while (::waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

void SftpSession::start(const SftpSettings& settings) {
  // Nothing of this machine's own configuration, no questions, and no host that is not known.
  std::vector<std::string> words = {settings.program,
                                    "-F",
                                    "none",
                                    "-oBatchMode=yes",
                                    "-oStrictHostKeyChecking=yes",
                                    "-oUserKnownHostsFile=" + settings.known_hosts_file,
                                    "-oGlobalKnownHostsFile=none",
                                    "-oIdentitiesOnly=yes",
                                    "-oIdentityAgent=none",
                                    "-oPreferredAuthentications=publickey",
                                    "-oConnectTimeout=15",
                                    "-oServerAliveInterval=15",
                                    "-oServerAliveCountMax=4",
                                    "-oClearAllForwardings=yes",
                                    "-oLogLevel=ERROR",
                                    "-i",
                                    settings.private_key_file};
  if (!settings.port.empty()) words.insert(words.end(), {"-p", settings.port});
  if (!settings.user.empty()) words.insert(words.end(), {"-l", settings.user});
  words.insert(words.end(), {"-s", "--", settings.host, "sftp"});
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);

  int pair[2];
  int pipe[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
    throw util::system_error("cannot make a socket for ssh", errno);
  }
  socket_ = util::UniqueFd(pair[0]);
  const util::UniqueFd theirs(pair[1]);
  if (::pipe2(pipe, O_CLOEXEC) != 0) throw util::system_error("cannot make a pipe for ssh", errno);
  messages_ = util::UniqueFd(pipe[0]);
  const util::UniqueFd their_messages(pipe[1]);
  ::fcntl(messages_.get(), F_SETFL, O_NONBLOCK);
  ::fcntl(socket_.get(), F_SETFL, O_NONBLOCK);

  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, theirs.get(), 0);
  ::posix_spawn_file_actions_adddup2(&actions, theirs.get(), 1);
  ::posix_spawn_file_actions_adddup2(&actions, their_messages.get(), 2);
  const int error = ::posix_spawnp(&process_, settings.program.c_str(), &actions, nullptr,
                                   arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    process_ = -1;
    throw util::system_error("cannot start ssh", error).with_hint("install openssh-client");
  }
}

void SftpSession::greet() {
  const Bytes hello = {0, 0, 0, 5, kInit, 0, 0, 0, 3};
  write_bytes(hello);
  std::uint32_t version = 0;
  const Packet reply = receive_any(&version);  // the version stands where ids stand
  if (reply.type != kVersion || version < 3) broken("the server does not speak SFTP version 3");
  Reader reader(reply.body);
  while (!reader.empty()) {
    std::string name = reader.text();
    extensions_[std::move(name)] = reader.text();
  }
}

void SftpSession::broken(const std::string& what) {
  // What ssh itself had to say about it.
  std::string said;
  char buffer[2048];
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  while (std::chrono::steady_clock::now() < deadline) {
    const ssize_t got = ::read(messages_.get(), buffer, sizeof buffer);
    if (got > 0) {
      said.append(buffer, static_cast<std::size_t>(got));
    } else if (got == 0 || errno != EAGAIN) {
      break;
    } else {
      pollfd waiting{messages_.get(), POLLIN, 0};
      ::poll(&waiting, 1, kPollSlice);
    }
  }
  std::vector<std::string> lines;
  for (const std::string& line : util::split(said, '\n')) {
    const std::string_view trimmed = util::trim(line);
    if (!trimmed.empty() && !trimmed.starts_with('@')) lines.push_back(util::printable(trimmed));
  }
  const std::string message =
      cat("sftp://", server_, ": ", lines.empty() ? what : util::join(lines, "; "));
  if (said.find("Host key verification failed") != std::string::npos) {
    throw Error(ErrorCode::permission_denied, message,
                "the server's key is not the one in known_hosts_file; when the server is the right "
                "one, enter its key there (ssh-keyscan)");
  }
  if (said.find("Permission denied") != std::string::npos) {
    throw Error(ErrorCode::permission_denied, message,
                "the server does not accept this user with this private key");
  }
  if (said.find("bad permissions") != std::string::npos ||
      said.find("not accessible") != std::string::npos) {
    throw Error(ErrorCode::config_invalid, message, "the private key file cannot be used");
  }
  throw Error(ErrorCode::unavailable, message);
}

void SftpSession::wait_for(short events) {
  const auto deadline = std::chrono::steady_clock::now() + stall_timeout_;
  while (true) {
    if (stop_.stop_requested()) {
      throw Error(ErrorCode::cancelled, cat("the transfer with ", server_, " was cancelled"));
    }
    pollfd waiting{socket_.get(), events, 0};
    const int ready = ::poll(&waiting, 1, kPollSlice);
    if (ready > 0) return;
    if (ready < 0 && errno != EINTR) throw util::system_error("cannot wait for ssh", errno);
    if (std::chrono::steady_clock::now() > deadline) {
      throw Error(ErrorCode::timed_out, cat("sftp://", server_, " does not answer"));
    }
  }
}

void SftpSession::write_bytes(ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN) {
      wait_for(POLLOUT);
    } else if (errno != EINTR) {
      broken("the connection broke");
    }
  }
}

void SftpSession::read_bytes(std::span<std::uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t got = ::recv(socket_.get(), bytes.data(), bytes.size(), 0);
    if (got > 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(got));
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
      broken("the connection broke");
    } else {
      wait_for(POLLIN);
    }
  }
}

std::uint32_t SftpSession::send(std::uint8_t type, const Bytes& body) {
  const std::uint32_t id = next_id_++;
  ++unanswered_;
  Bytes packet = Writer().u32(static_cast<std::uint32_t>(body.size() + 5));
  packet.push_back(type);
  const Bytes number = Writer().u32(id);
  packet.insert(packet.end(), number.begin(), number.end());
  packet.insert(packet.end(), body.begin(), body.end());
  write_bytes(packet);
  return id;
}

SftpSession::Packet SftpSession::receive_any(std::uint32_t* id) {
  std::uint8_t head[9];
  read_bytes(head);
  Reader reader(ByteView(head, 4));
  const std::uint32_t size = reader.u32();
  if (size < 5 || size > kLargestPacket) broken("the server does not speak SFTP");
  *id = Reader(ByteView(head + 5, 4)).u32();
  Packet packet{head[4], Bytes(size - 5)};
  read_bytes(packet.body);
  return packet;
}

SftpSession::Packet SftpSession::receive(std::uint32_t id) {
  if (auto early = early_.extract(id)) return std::move(early.mapped());
  while (true) {
    std::uint32_t got = 0;
    Packet packet = receive_any(&got);
    --unanswered_;
    if (got == id) return packet;
    early_[got] = std::move(packet);
  }
}

SftpSession::Status SftpSession::status_of(const Packet& packet) const {
  if (packet.type != kStatusReply) {
    throw Error(ErrorCode::unavailable, cat("sftp://", server_, " gave an unexpected answer"));
  }
  Reader reader(packet.body);
  Status status{reader.u32(), ""};
  if (!reader.empty()) status.text = util::printable(reader.text());
  return status;
}

void SftpSession::fail(const Status& status, const std::string& what) const {
  const std::string message = cat(what, ": ", status.text.empty() ? "failed" : status.text);
  switch (status.code) {
    case kNoSuchFile:
      throw Error(ErrorCode::not_found, message);
    case kPermissionDenied:
      throw Error(ErrorCode::permission_denied, message);
    case kConnectionLost:
      throw Error(ErrorCode::unavailable, message);
    case kUnsupported:
      throw Error(ErrorCode::unsupported, message);
    default:
      throw Error(ErrorCode::io, message, "a full disk or quota looks like this, too");
  }
}

void SftpSession::require_ok(const Packet& packet, const std::string& what) {
  const Status status = status_of(packet);
  if (status.code != kOk) fail(status, what);
}

std::optional<SftpAttributes> SftpSession::stat(const std::string& path) {
  const Packet reply = ask(kLstat, Writer().text(path));
  if (reply.type == kAttrsReply) {
    Reader reader(reply.body);
    return read_attributes(reader);
  }
  const Status status = status_of(reply);
  if (status.code == kNoSuchFile) return std::nullopt;
  fail(status, cat("cannot look at ", path));
}

bool SftpSession::make_folder(const std::string& path) {
  const Status status = status_of(ask(kMkdir, Writer().text(path).u32(kHasMode).u32(0700)));
  if (status.code == kOk) return true;
  if (status.code == kFailure) {
    if (const auto there = stat(path); there && there->is_folder()) return false;
  }
  fail(status, cat("cannot create the folder ", path));
}

std::optional<Bytes> SftpSession::open(const std::string& path, std::uint32_t flags,
                                       const std::string& what) {
  Writer body;
  body.text(path).u32(flags).u32(kHasMode).u32(0600);
  const Packet reply = ask(kOpen, body);
  if (reply.type == kHandleReply) {
    const ByteView handle = Reader(reply.body).bytes();
    return Bytes(handle.begin(), handle.end());
  }
  const Status status = status_of(reply);
  if (status.code == kNoSuchFile) return std::nullopt;
  fail(status, what);
}

void SftpSession::close(const Bytes& handle, const std::string& what) {
  require_ok(ask(kClose, Writer().text(ByteView(handle))), what);
}

void SftpSession::write_file(const std::string& path, ByteView content) {
  const std::string what = cat("cannot write ", path);
  const auto handle = open(path, kOpenWrite | kOpenCreate | kOpenExclusive, what);
  if (!handle) throw Error(ErrorCode::not_found, cat(what, ": its folder does not exist"));
  std::deque<std::uint32_t> under_way;
  for (std::size_t at = 0; at < content.size(); at += kPiece) {
    if (under_way.size() == kUnderWay) {
      require_ok(receive(under_way.front()), what);
      under_way.pop_front();
    }
    Writer body;
    body.text(ByteView(*handle)).u64(at);
    body.text(content.subspan(at, std::min(kPiece, content.size() - at)));
    under_way.push_back(send(kWrite, body));
  }
  for (const std::uint32_t id : under_way) require_ok(receive(id), what);
  if (has_extension("fsync@openssh.com")) {
    Writer body;
    body.text("fsync@openssh.com").text(ByteView(*handle));
    require_ok(ask(kExtended, body), what);
  }
  close(*handle, what);
}

std::optional<Bytes> SftpSession::read_file(const std::string& path,
                                            const std::function<Part(std::uint64_t size)>& choose) {
  const std::string what = cat("cannot read ", path);
  const auto handle = open(path, kOpenRead, what);
  if (!handle) return std::nullopt;
  const Packet opened = ask(kFstat, Writer().text(ByteView(*handle)));
  if (opened.type != kAttrsReply) fail(status_of(opened), what);
  Reader attributes(opened.body);
  const Part part = choose(read_attributes(attributes).size);
  const std::uint64_t offset = part.offset;
  Bytes content(part.length);
  struct Piece {
    std::uint32_t id;
    std::size_t at;
    std::size_t size;
  };
  std::deque<Piece> under_way;
  const auto request = [&](std::size_t at, std::size_t size) {
    Writer body;
    body.text(ByteView(*handle)).u64(offset + at).u32(static_cast<std::uint32_t>(size));
    under_way.push_back({send(kRead, body), at, size});
  };
  std::size_t asked = 0;
  while (asked < content.size() || !under_way.empty()) {
    while (asked < content.size() && under_way.size() < kUnderWay) {
      const std::size_t size = std::min(kPiece, content.size() - asked);
      request(asked, size);
      asked += size;
    }
    const Piece piece = under_way.front();
    under_way.pop_front();
    const Packet reply = receive(piece.id);
    if (reply.type != kDataReply) fail(status_of(reply), what);
    const ByteView data = Reader(reply.body).bytes();
    if (data.empty() || data.size() > piece.size) broken("the server sent a wrong piece");
    std::copy(data.begin(), data.end(), content.begin() + static_cast<std::ptrdiff_t>(piece.at));
    // A server may send less than it was asked for.
    if (data.size() < piece.size) request(piece.at + data.size(), piece.size - data.size());
  }
  close(*handle, what);
  return content;
}

void SftpSession::replace(const std::string& from, const std::string& to) {
  Writer body;
  body.text("posix-rename@openssh.com").text(from).text(to);
  require_ok(ask(kExtended, body), cat("cannot move a file to ", to));
}

bool SftpSession::link(const std::string& from, const std::string& to) {
  Writer body;
  body.text("hardlink@openssh.com").text(from).text(to);
  const Status status = status_of(ask(kExtended, body));
  if (status.code == kOk) return true;
  if (status.code == kFailure && stat(to)) return false;
  fail(status, cat("cannot create ", to));
}

bool SftpSession::remove(const std::string& path) {
  const Status status = status_of(ask(kRemove, Writer().text(path)));
  if (status.code == kOk) return true;
  if (status.code == kNoSuchFile) return false;
  if (const auto there = stat(path); !there || there->is_folder()) return false;
  fail(status, cat("cannot remove ", path));
}

std::vector<std::pair<std::string, SftpAttributes>> SftpSession::list(const std::string& path) {
  const std::string what = cat("cannot list ", path);
  const Packet opened = ask(kOpendir, Writer().text(path));
  if (opened.type != kHandleReply) {
    const Status status = status_of(opened);
    if (status.code == kNoSuchFile) return {};
    fail(status, what);
  }
  const ByteView view = Reader(opened.body).bytes();
  const Bytes handle(view.begin(), view.end());
  std::vector<std::pair<std::string, SftpAttributes>> entries;
  while (true) {
    const Packet reply = ask(kReaddir, Writer().text(ByteView(handle)));
    if (reply.type != kNameReply) {
      const Status status = status_of(reply);
      if (status.code != kEof) fail(status, what);
      break;
    }
    Reader reader(reply.body);
    for (std::uint32_t count = reader.u32(); count > 0; --count) {
      std::string name = reader.text();
      reader.bytes();  // as ls -l shows it
      const SftpAttributes attributes = read_attributes(reader);
      if (name != "." && name != "..") entries.emplace_back(std::move(name), attributes);
    }
  }
  close(handle, what);
  return entries;
}

SftpSession::Space SftpSession::space(const std::string& path) {
  const Packet reply = ask(kExtended, Writer().text("statvfs@openssh.com").text(path));
  if (reply.type != kExtendedReply) fail(status_of(reply), cat("cannot tell the space of ", path));
  Reader reader(reply.body);
  reader.u64();  // block size
  const std::uint64_t fragment = reader.u64();
  const std::uint64_t blocks = reader.u64();
  reader.u64();  // free for root
  const std::uint64_t available = reader.u64();
  return {blocks * fragment, available * fragment};
}

}  // namespace dbbackup::storage
