/* SPDX-License-Identifier: MIT */
/* openssl - its headers, without their old type that has the name of one of our errors. */
#pragma once
#define ERR_STATE OPENSSL_ERR_STATE
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#undef ERR_STATE
