// Objects as files on a server with SSH, laid out as the local store lays them out: the same folder
// is a repository to both.
//
// The local store's mark (.tmp, made when the store is created) serves here, too: without it a
// server whose disk is not mounted would be taken for an empty repository.
//
// A session serves one operation at a time; as many are open as are needed at once.
#include <algorithm>
#include <mutex>
#include <set>

#include "crypto/cipher.hpp"
#include "http/client.hpp"
#include "storage/object_store.hpp"
#include "storage/options.hpp"
#include "storage/rules.hpp"
#include "storage/sftp_session.hpp"
#include "storage/url.hpp"
#include "storage/wrappers.hpp"
#include "util/text.hpp"

namespace dbbackup::storage {

namespace {

using util::cat;
using util::Error;
using util::ErrorCode;

constexpr std::size_t kMostIdle = 8;
constexpr std::chrono::hours kStaleAfter{24};

class SftpStore final : public ObjectStore {
 public:
  SftpStore(std::string name, std::string root, SftpSettings settings)
      : name_(std::move(name)),
        root_(std::move(root)),
        temporary_(root_ + "/.tmp"),
        settings_(std::move(settings)) {}

  void prepare(StoreMode mode) {
    with_session({}, [&](SftpSession& session) {
      for (const char* needed : {"posix-rename@openssh.com", "hardlink@openssh.com"}) {
        if (session.has_extension(needed)) continue;
        throw Error(ErrorCode::unsupported, cat(name_, ": the server lacks ", needed),
                    "OpenSSH's sftp-server has it");
      }
      if (mode == StoreMode::create) {
        make_folders(session, root_);
        session.make_folder(temporary_);
      }
      marked_ = mode != StoreMode::read;
      require_present(session);
      if (mode != StoreMode::read) remove_stale_temporaries(session);
    });
  }

  void put(const std::string& key, util::ByteView content, std::stop_token stop) override {
    check_key(key);
    with_session(stop, [&](SftpSession& session) {
      const std::string file = write_temporary(session, key, content);
      make_folder_of(session, key);
      session.replace(file, path_of(key));
    });
  }

  bool put_new(const std::string& key, util::ByteView content, std::stop_token stop) override {
    check_key(key);
    if (stat(key, stop)) return false;
    bool created = false;
    with_session(stop, [&](SftpSession& session) {
      const std::string file = write_temporary(session, key, content);
      make_folder_of(session, key);
      created = session.link(file, path_of(key));
      session.remove(file);
    });
    return created;
  }

  util::Bytes get(const std::string& key, std::optional<Range> range,
                  std::stop_token stop) override {
    check_key(key);
    util::Bytes content;
    with_session(stop, [&](SftpSession& session) {
      const auto attributes = session.stat(path_of(key));
      if (!attributes || !attributes->is_file()) {
        require_present(session);
        throw absent_object(key, describe());
      }
      auto read = session.read_file(path_of(key), [&](std::uint64_t size) {
        const Range part = resolve_range(range, size, key, describe());
        return SftpSession::Part{part.offset, part.length};
      });
      if (!read) throw absent_object(key, describe());
      content = std::move(*read);
    });
    return content;
  }

  std::optional<ObjectInfo> stat(const std::string& key, std::stop_token stop) override {
    check_key(key);
    std::optional<ObjectInfo> info;
    with_session(stop, [&](SftpSession& session) {
      const auto attributes = session.stat(path_of(key));
      if (!attributes) require_present(session);
      if (attributes && attributes->is_file()) {
        info = ObjectInfo{key, attributes->size, attributes->modified};
      }
    });
    return info;
  }

  void list(const std::string& prefix, const std::function<void(const ObjectInfo&)>& each,
            std::stop_token stop) override {
    check_prefix(prefix);
    std::vector<ObjectInfo> found;  // `each` may use the store
    with_session(stop, [&](SftpSession& session) {
      require_present(session);
      const std::size_t slash = prefix.rfind('/');
      walk(session, slash == std::string::npos ? "" : prefix.substr(0, slash + 1), prefix, found);
      require_present(session);
    });
    for (const ObjectInfo& info : found) {
      check_stop(stop, info.key);
      each(info);
    }
  }

  void remove(const std::string& key, std::stop_token stop) override {
    check_key(key);
    with_session(stop, [&](SftpSession& session) {
      if (!session.remove(path_of(key))) require_present(session);
    });
  }

  std::optional<Space> space() override {
    std::optional<Space> space;
    with_session({}, [&](SftpSession& session) {
      if (!session.has_extension("statvfs@openssh.com")) return;
      const SftpSession::Space found = session.space(root_);
      space = Space{found.total, found.free};
    });
    return space;
  }

  unsigned parallel_puts() const override { return 2; }
  std::string describe() const override { return name_; }

 private:
  std::string path_of(const std::string& key) const { return cat(root_, "/", key); }

  std::unique_ptr<SftpSession> take() {
    {
      const std::scoped_lock lock(mutex_);
      if (!idle_.empty()) {
        auto session = std::move(idle_.back());
        idle_.pop_back();
        return session;
      }
    }
    return std::make_unique<SftpSession>(settings_, http::ClientOptions{}.stall_timeout);
  }

  // A session that failed while requests were under way is closed: their answers would come in
  // between others.
  void with_session(const std::stop_token& stop, const std::function<void(SftpSession&)>& work) {
    check_stop(stop, "");
    auto session = take();
    session->set_stop(stop);
    try {
      work(*session);
    } catch (const Error&) {
      give_back(std::move(session));
      throw;
    }
    give_back(std::move(session));
  }

  void give_back(std::unique_ptr<SftpSession> session) {
    if (!session->is_settled()) return;
    session->set_stop({});
    const std::scoped_lock lock(mutex_);
    if (idle_.size() < kMostIdle) idle_.push_back(std::move(session));
  }

  // Errors: unavailable, when the store is not where it was.
  void require_present(SftpSession& session) const {
    const auto there = session.stat(marked_ ? temporary_ : root_);
    if (there && there->is_folder()) return;
    throw Error(ErrorCode::io, cat("the repository folder ", name_, " is gone"),
                "check that the server's disk is mounted");
  }

  std::string write_temporary(SftpSession& session, const std::string& key,
                              util::ByteView content) {
    util::Bytes random(12);
    crypto::random_bytes(random.data(), random.size());
    std::string file = cat(temporary_, "/", util::to_hex(random));
    try {
      session.write_file(file, content);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::not_found) require_present(session);
      throw error.with_context(cat("cannot store ", key));
    }
    return file;
  }

  void make_folders(SftpSession& session, const std::string& path) {
    if (const auto there = session.stat(path); there && there->is_folder()) return;
    if (const std::size_t slash = path.rfind('/'); slash != std::string::npos && slash > 0) {
      make_folders(session, path.substr(0, slash));
    }
    session.make_folder(path);
  }

  void make_folder_of(SftpSession& session, const std::string& key) {
    std::string path = root_;
    const std::vector<std::string> segments = util::split(key, '/');
    for (std::size_t i = 0; i + 1 < segments.size(); ++i) {
      path += "/" + segments[i];
      {
        const std::scoped_lock lock(mutex_);
        if (folders_.contains(path)) continue;
      }
      session.make_folder(path);
      const std::scoped_lock lock(mutex_);
      folders_.insert(path);
    }
  }

  void walk(SftpSession& session, const std::string& folder, const std::string& prefix,
            std::vector<ObjectInfo>& found) const {
    for (const auto& [name, attributes] : session.list(cat(root_, "/", folder))) {
      const std::string key = folder + name;
      if (!is_key_segment(name) || !key.starts_with(prefix.substr(0, key.size()))) continue;
      if (attributes.is_folder()) {
        if (key.size() < prefix.size() || key.starts_with(prefix)) {
          walk(session, key + "/", prefix, found);
        }
      } else if (attributes.is_file() && key.starts_with(prefix)) {
        found.push_back({key, attributes.size, attributes.modified});
      }
    }
  }

  // What a crash left. Ages are taken against a file written just now: the server's clock counts.
  void remove_stale_temporaries(SftpSession& session) {
    const std::string probe = write_temporary(session, "a probe", {});
    const auto now = session.stat(probe);
    for (const auto& [name, attributes] : session.list(temporary_)) {
      const bool stale = now && attributes.modified < now->modified - kStaleAfter;
      const std::string path = cat(temporary_, "/", name);
      if (path == probe || (stale && attributes.is_file())) session.remove(path);
    }
  }

  const std::string name_;
  const std::string root_;
  const std::string temporary_;
  const SftpSettings settings_;
  bool marked_ = true;
  std::mutex mutex_;
  std::vector<std::unique_ptr<SftpSession>> idle_;
  std::set<std::string> folders_;  // known to be there
};

}  // namespace

std::unique_ptr<ObjectStore> open_sftp_store(const std::string& text, const StoreOptions& options,
                                             std::optional<StoreMode> mode) {
  OptionReader reader(options, "SFTP storage");
  const Url url = parse_store_url(text);
  SftpSettings settings;
  settings.user = url.user;
  const std::size_t colon = url.host.rfind(':');
  settings.host = url.host.substr(0, colon);
  if (colon != std::string::npos) settings.port = url.host.substr(colon + 1);
  std::string root = url.path;
  while (root.ends_with('/')) root.pop_back();
  const auto port = settings.port.empty() ? 22 : util::parse_int(settings.port).value_or(0);
  if (settings.host.empty() || settings.host.starts_with('-') || settings.user.starts_with('-') ||
      root.empty() || port < 1 || port > 65535) {
    throw Error(ErrorCode::usage,
                "an SFTP URL names a server and a folder: sftp://user@host:port/path");
  }
  settings.private_key_file = reader.text("private_key_file").value_or("");
  settings.known_hosts_file = reader.text("known_hosts_file").value_or("");
  const http::ClientOptions client = reader.client();
  reader.refuse_the_rest();
  for (const auto& [name, value] : {std::pair("private_key_file", settings.private_key_file),
                                    std::pair("known_hosts_file", settings.known_hosts_file)}) {
    if (value.empty()) {
      throw Error(
          ErrorCode::usage, cat("SFTP storage needs the option ", name),
          "a key file without a passphrase, and a file with the server's key (ssh-keyscan)");
    }
  }
  auto store = std::make_unique<SftpStore>(
      cat("sftp://", url.user, url.user.empty() ? "" : "@", url.host, url.path), root,
      std::move(settings));
  if (mode) http::repeat({}, {}, [&] { store->prepare(*mode); });
  return make_throttled(make_retrying(std::move(store)), client.upload_limit,
                        client.download_limit);
}

}  // namespace dbbackup::storage
