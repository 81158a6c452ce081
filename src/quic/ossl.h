/* SPDX-License-Identifier: MIT */
/*
 * ossl - OpenSSL's headers, always by this way: they have a type named ERR_STATE, which is
 * one of our error codes. Nobody here needs theirs.
 */
#pragma once
#define ERR_STATE ossl_err_state
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/obj_mac.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#undef ERR_STATE
