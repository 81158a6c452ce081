"""libopus as it is, through ctypes. Packets are bytes, sound is floats of one channel unless said."""
import ctypes

import numpy as np

lib = ctypes.CDLL("libopus.so.0")
lib.opus_get_version_string.restype = ctypes.c_char_p
lib.opus_encoder_create.restype = lib.opus_decoder_create.restype = ctypes.c_void_p

VOIP, AUDIO, LOWDELAY = 2048, 2049, 2051
SET = dict(bitrate=4002, bandwidth=4008, max_bandwidth=4004, vbr=4006, vbr_constraint=4020, complexity=4010, fec=4012, loss=4014, dtx=4016,
           force_channels=4022)
GET_LOOKAHEAD, RESET_STATE = 4027, 4028


def check(n):
    if n < 0:
        raise RuntimeError(f"libopus: {n}")
    return n


class Encoder:
    def __init__(self, rate, channels=1, application=VOIP, **settings):
        error = ctypes.c_int()
        self.channels = channels
        self.st = ctypes.c_void_p(lib.opus_encoder_create(rate, channels, application, ctypes.byref(error)))
        check(error.value)
        for name, value in settings.items():
            self.set(name, value)

    def set(self, name, value):
        check(lib.opus_encoder_ctl(self.st, SET[name], ctypes.c_int(value)))

    def get(self, request):
        value = ctypes.c_int()
        check(lib.opus_encoder_ctl(self.st, request, ctypes.byref(value)))
        return value.value

    def encode(self, frame):
        pcm = np.ascontiguousarray(frame, np.float32)
        out = ctypes.create_string_buffer(1500)
        n = lib.opus_encode_float(self.st, pcm.ctypes.data_as(ctypes.c_void_p), len(pcm) // self.channels, out, 1500)
        return out.raw[:check(n)]

    def all(self, x, samples):
        """Every whole frame of `samples` samples."""
        return [self.encode(x[i:i + samples * self.channels])
                for i in range(0, len(x) - samples * self.channels + 1, samples * self.channels)]


class Decoder:
    def __init__(self, rate, channels=1, complexity=None):
        error = ctypes.c_int()
        self.channels = channels
        self.st = ctypes.c_void_p(lib.opus_decoder_create(rate, channels, ctypes.byref(error)))
        check(error.value)
        if complexity is not None:
            check(lib.opus_decoder_ctl(self.st, SET["complexity"], ctypes.c_int(complexity)))

    def reset(self):
        check(lib.opus_decoder_ctl(self.st, RESET_STATE))

    def decode(self, packet, samples, fec=0):
        """`samples` is how much room there is, or how much was lost if there is no packet."""
        pcm = np.zeros(samples * self.channels, np.float32)
        n = lib.opus_decode_float(self.st, packet, len(packet or b""), pcm.ctypes.data_as(ctypes.c_void_p), samples, fec)
        return pcm[:check(n) * self.channels]


def has_lbrr(packet):
    return lib.opus_packet_has_lbrr(packet, len(packet)) == 1


def mode(packet):
    config = packet[0] >> 3
    return "SILK" if config < 12 else "hybrid" if config < 16 else "CELT"


def bandwidth(packet):
    return {1101: "NB", 1102: "MB", 1103: "WB", 1104: "SWB", 1105: "FB"}[lib.opus_packet_get_bandwidth(packet)]


def version():
    return lib.opus_get_version_string().decode()
