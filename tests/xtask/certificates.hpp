// Certificates made in memory, good and bad, for servers on loopback.
#pragma once

#include <chrono>
#include <memory>
#include <string>

namespace ax::xtask::test {

/// What a TLS server shows and proves, in PEM.
struct TlsIdentity {
  std::string certificate;
  std::string key;
};

/// From when until when, seen from now.
struct Validity {
  std::chrono::seconds from = -std::chrono::hours(1);
  std::chrono::seconds until = std::chrono::hours(1);
};

/// Signs the certificates of servers with a key of its own, which is a new one each time.
class CertificateAuthority {
 public:
  explicit CertificateAuthority(const std::string& name = "An authority of a test");
  ~CertificateAuthority();
  CertificateAuthority(const CertificateAuthority&) = delete;
  CertificateAuthority& operator=(const CertificateAuthority&) = delete;

  /// Its own certificate, in PEM.
  std::string certificate() const;
  /// A server's, for `host` as a subjectAltName: "IP:127.0.0.1", "DNS:example.org".
  TlsIdentity issue(const std::string& host, Validity validity = {}) const;

 private:
  struct Keys;
  std::unique_ptr<Keys> keys_;
};

}  // namespace ax::xtask::test
