#include "tests/xtask/certificates.hpp"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <functional>
#include <stdexcept>

namespace ax::xtask::test {
namespace {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;

void require(bool done) {
  if (!done) {
    throw std::runtime_error("OpenSSL cannot make a certificate");
  }
}

Key make_key() {
  Key key(EVP_EC_gen("P-256"), &EVP_PKEY_free);
  require(key != nullptr);
  return key;
}

std::string to_pem(const std::function<int(BIO*)>& write) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> memory(BIO_new(BIO_s_mem()), &BIO_free);
  require(memory != nullptr && write(memory.get()) == 1);
  char* text = nullptr;
  const long size = BIO_get_mem_data(memory.get(), &text);
  return {text, static_cast<size_t>(size)};
}

void add_extension(X509* certificate, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const std::unique_ptr<X509_EXTENSION, decltype(&X509_EXTENSION_free)> extension(
      X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str()), &X509_EXTENSION_free);
  require(extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1);
}

/// Without an issuer it is its own.
Certificate make_certificate(const std::string& name, EVP_PKEY* key, X509* issuer, const Validity& validity) {
  static long serial = 0;
  Certificate certificate(X509_new(), &X509_free);
  X509* made = certificate.get();
  X509_NAME* subject = X509_get_subject_name(made);
  require(X509_set_version(made, X509_VERSION_3) == 1 && ASN1_INTEGER_set(X509_get_serialNumber(made), ++serial) == 1);
  X509_gmtime_adj(X509_getm_notBefore(made), validity.from.count());
  X509_gmtime_adj(X509_getm_notAfter(made), validity.until.count());
  const auto* text = reinterpret_cast<const unsigned char*>(name.c_str());
  require(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, text, -1, -1, 0) == 1);
  require(X509_set_issuer_name(made, issuer == nullptr ? subject : X509_get_subject_name(issuer)) == 1);
  require(X509_set_pubkey(made, key) == 1);
  return certificate;
}

}  // namespace

struct CertificateAuthority::Keys {
  Key key{nullptr, &EVP_PKEY_free};
  Certificate certificate{nullptr, &X509_free};
};

CertificateAuthority::CertificateAuthority(const std::string& name) : keys_(std::make_unique<Keys>()) {
  keys_->key = make_key();
  keys_->certificate = make_certificate(name, keys_->key.get(), nullptr, {});
  X509* own = keys_->certificate.get();
  add_extension(own, own, NID_basic_constraints, "critical,CA:TRUE");
  require(X509_sign(own, keys_->key.get(), EVP_sha256()) > 0);
}

CertificateAuthority::~CertificateAuthority() = default;

std::string CertificateAuthority::certificate() const {
  return to_pem([this](BIO* bio) { return PEM_write_bio_X509(bio, keys_->certificate.get()); });
}

TlsIdentity CertificateAuthority::issue(const std::string& host, Validity validity) const {
  const Key key = make_key();
  const Certificate certificate = make_certificate("A server of a test", key.get(), keys_->certificate.get(), validity);
  add_extension(certificate.get(), keys_->certificate.get(), NID_subject_alt_name, host);
  require(X509_sign(certificate.get(), keys_->key.get(), EVP_sha256()) > 0);
  return {to_pem([&](BIO* bio) { return PEM_write_bio_X509(bio, certificate.get()); }),
          to_pem([&](BIO* bio) { return PEM_write_bio_PrivateKey(bio, key.get(), nullptr, nullptr, 0, nullptr, nullptr); })};
}

}  // namespace ax::xtask::test
