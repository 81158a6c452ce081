// SPDX-License-Identifier: MIT
// The official OpenAI client against a server: openai_client.mjs FOLDER BASE_URL KEY, where FOLDER holds node_modules. Does what its
// users do, and what the documentation forbids; prints one JSON object: for each step the types of the events that came of
// it, or the error's code; and what it would not say at all.
import { once } from "node:events";
import { pathToFileURL } from "node:url";

const [folder, baseURL, apiKey] = process.argv.slice(2);
const module = (path) => import(pathToFileURL(`${folder}/node_modules/openai/${path}`));
const { default: OpenAI } = await module("index.mjs");
const { OpenAIRealtimeWS } = await module("realtime/ws.mjs");

const format = { type: "audio/pcm", rate: 24000 };
const session = {
	type: "realtime", output_modalities: ["audio"], instructions: "Be brief.",
	audio: {
		input: { format, turn_detection: { type: "server_vad", create_response: true, interrupt_response: true }, transcription: { model: "t" } },
		output: { format, voice: "marin" },
	},
};
const steps = {};

class Conversation {
	constructor(key) {
		this.events = [];
		this.taken = 0;
		this.rt = new OpenAIRealtimeWS({ model: "gpt-realtime-x" }, new OpenAI({ apiKey: key, baseURL }));
		this.rt.on("event", (event) => { this.events.push(event); this.wake?.(); });
		this.rt.on("error", (error) => { this.failure = error; this.wake?.(); });
	}

	// Everything from the last step on, up to an event that fits; that event.
	async until(fits) {
		for (;;) {
			const at = this.events.findIndex((event, i) => i >= this.taken && fits(event));
			if (at >= 0) {
				this.passed = this.events.slice(this.taken, at + 1);
				this.taken = at + 1;
				return this.events[at];
			}
			await new Promise((wake) => { this.wake = wake; });
		}
	}

	type(name) { return this.until(({ type }) => type === name); }

	// Sends, and notes what comes up to an event of one of these types.
	async step(name, message, ...ends) {
		this.rt.send(message);
		const end = await this.until(({ type }) => ends.includes(type));
		steps[name] = end.type === "error" ? end.error.code : this.passed.map(({ type }) => type);
		return end;
	}
}

const pcm = (ms) => Buffer.alloc(48 * ms, 1).toString("base64");
const text = (role, type, words) => ({ type: "conversation.item.create", item: { type: "message", role, content: [{ type, text: words }] } });

async function converse() {
	const c = new Conversation(apiKey);
	await once(c.rt.socket, "open");
	await c.type("session.created");
	await c.step("a session as in the beta", { type: "session.update", session: { modalities: ["audio"] } }, "session.updated", "error");
	await c.step("a session", { type: "session.update", session }, "session.updated", "error");
	await c.step("words", text("user", "input_text", "Hello?"), "conversation.item.done", "error");
	await c.step("an answer of before", text("assistant", "output_text", "Hello."), "conversation.item.done", "error");
	await c.step("content of another role", text("assistant", "input_text", "Hello."), "conversation.item.done", "error");

	const done = await c.step("a response", { type: "response.create" }, "response.done", "error");
	const sound = c.passed.filter(({ type }) => type === "response.output_audio.delta");
	steps.bytes = sound.reduce((n, { delta }) => n + Buffer.from(delta, "base64").length, 0);
	const item = done.response.output[0].id;
	const truncate = { type: "conversation.item.truncate", item_id: item, content_index: 0 };
	await c.step("too long a truncation", { ...truncate, audio_end_ms: 60000 }, "conversation.item.truncated", "error");
	await c.step("a truncation", { ...truncate, audio_end_ms: 300 }, "conversation.item.truncated", "error");
	await c.step("nothing to cancel", { type: "response.cancel" }, "response.done", "error");

	c.rt.send({ type: "response.create" });
	await c.type("response.output_audio.delta");
	await c.step("two responses at once", { type: "response.create" }, "response.done", "error");
	await c.step("a cancelled response", { type: "response.cancel" }, "response.done", "error");

	await c.step("a deletion", { type: "conversation.item.delete", item_id: item }, "conversation.item.deleted", "error");
	await c.step("a deletion of nothing", { type: "conversation.item.delete", item_id: item }, "conversation.item.deleted", "error");
	c.rt.send({ type: "input_audio_buffer.append", audio: pcm(40) });
	await c.step("too short a commit", { type: "input_audio_buffer.commit" }, "conversation.item.done", "error");
	c.rt.send({ type: "input_audio_buffer.append", audio: pcm(200) });
	await c.step("a commit", { type: "input_audio_buffer.commit" }, "conversation.item.done", "error");
	await c.step("sound that is none", { type: "input_audio_buffer.append", audio: "***" }, "error");
	await c.step("no type of event", { type: "session.explode" }, "error");
	c.rt.close();
	const [code] = await once(c.rt.socket, "close");
	steps.closed = code;
}

async function knock() {
	const c = new Conversation("wrong");
	while (!c.failure)
		await new Promise((wake) => { c.wake = wake; });
	steps["another key"] = c.failure.message.split("\n")[0];
}

await converse();
await knock();
console.log(JSON.stringify(steps));
process.exit(0);
