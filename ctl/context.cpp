#include "ctl/context.hpp"

#include <memory>

#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::ctl {

namespace json = util::json;
using util::cat;

namespace {
constexpr const char* kSystemSocket = "/run/dbbackupd.sock";
}  // namespace

Call call_daemon(std::string socket_path) {
  auto client = std::make_shared<std::unique_ptr<control::Client>>();
  return
      [client, path = std::move(socket_path)](std::string_view method, const json::Object& params,
                                              const control::Client::OnNotification& notified,
                                              const control::Client::KeepWaiting& keep_waiting) {
        if (*client == nullptr) {
          *client = std::make_unique<control::Client>(control::Client::connect(path));
        }
        json::Value reply = (*client)->call(method, params, notified, keep_waiting);
        if (reply.is_null()) client->reset();
        return reply;
      };
}

std::string choose_socket(const std::optional<std::string>& option, const Environment& environment,
                          const std::function<bool(const std::string&)>& exists) {
  if (option) return *option;
  if (const auto path = environment("DBBACKUP_SOCKET"); path && !path->empty()) return *path;
  if (exists(kSystemSocket)) return kSystemSocket;
  const auto runtime = environment("XDG_RUNTIME_DIR");
  return runtime && !runtime->empty() ? *runtime + "/dbbackupd.sock" : std::string(kSystemSocket);
}

json::Object Context::request(std::string_view method, const json::Object& params) const {
  const json::Value reply = call(method, params, {}, {});
  if (!reply.is_object()) {
    throw util::Error(util::ErrorCode::internal,
                      cat("the daemon's answer to ", method, " is no object"));
  }
  return reply.get_object();
}

}  // namespace dbbackup::ctl
