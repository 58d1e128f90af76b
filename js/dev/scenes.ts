/** States to look at. */
import type { ChatMessage } from "../src/protocol";
import { ANSWER, type DevKernel, TIMING } from "./kernel";
import { MARKDOWN, RIGHT_TO_LEFT } from "./replies";

const said = (text: string, more: Partial<ChatMessage> = {}): ChatMessage => ({
  turn: 0,
  role: "user",
  text,
  state: "done",
  ...more,
});
const replied = (text: string, more: Partial<ChatMessage> = {}): ChatMessage => ({
  turn: 0,
  role: "assistant",
  text,
  state: "done",
  finish_reason: "stop",
  timing: TIMING,
  ...more,
});
const going = (text: string, more: Partial<ChatMessage> = {}): ChatMessage => ({
  turn: 0,
  role: "assistant",
  text,
  state: "streaming",
  ...more,
});

const CHAT = [
  said("My name is Ada."),
  replied(ANSWER),
  said("What is my name, and what can you do?\nAnswer in one sentence."),
  replied("Your name is Ada."),
];

export const SCENES: Record<string, (kernel: DevKernel) => void> = {
  empty: () => {},
  chat: (k) => {
    k.tokens = 1371;
    k.messages = [
      ...CHAT,
      said("Tell me a very long story about the sea."),
      replied("Once upon a time there was a sea, and the sea was", {
        state: "cancelled",
        finish_reason: "cancelled",
      }),
    ];
  },
  branches: (k) => {
    k.messages = [
      said("My name is Grace.", { branch: { index: 2, count: 2 } }),
      replied("Nice to meet you, Grace.", { branch: { index: 3, count: 3 } }),
    ];
  },
  streaming: (k) => {
    k.tokens = 3700;
    k.status = "generating";
    k.messages = [...CHAT, said("And again?"), going("Nice to meet you, Ada! I will rem")];
  },
  waiting: (k) => {
    k.status = "generating";
    k.messages = [said("My name is Ada."), going("")];
  },
  thinking: (k) => {
    k.status = "generating";
    k.messages = [
      said("What is 2 + 2?"),
      replied("4.", { thinking: "The user asks for a sum." }),
      said("And 17 × 23?"),
      going("", { thinking: "17 × 23 is 17 × 20 + 17 × 3.\nThat is 340 + 51" }),
    ];
  },
  tools: (k) => {
    k.status = "generating";
    k.able = { supports_thinking: true, supports_tools: true, modalities: ["text"] };
    k.tools = ["weather", "delete_file"];
    k.messages = [
      said("What is the weather in Paris?"),
      replied("It rains in Paris.", {
        tool_calls: [
          {
            id: "1",
            name: "weather",
            arguments: { city: "Paris" },
            state: "done",
            result: "rain, 12 °C",
          },
          { id: "2", name: "delete_file", arguments: { path: "/" }, state: "denied" },
        ],
      }),
      said("Delete the old report."),
      going("", {
        tool_calls: [
          {
            id: "3",
            name: "delete_file",
            arguments: { path: "/home/ada/report-2019.pdf", force: true },
            state: "asking",
          },
        ],
      }),
    ];
  },
  full: (k) => {
    k.tokens = 3900;
    k.messages = [
      said("My name is Ada."),
      replied(ANSWER),
      ...CHAT.slice(2),
      said("I live in Paris."),
      replied("I will remember that your home is Paris.", { trimmed_turns: 1 }),
    ];
  },
  files: (k) => {
    k.able = { supports_thinking: true, supports_tools: false, modalities: ["text", "vision"] };
    k.messages = [
      said("What is in this picture?", {
        files: [{ name: "holiday-by-the-sea.jpg", type: "image/jpeg", size: 412_000 }],
      }),
      replied("A cat on a beach."),
    ];
  },
  error: (k) => {
    k.messages = [
      ...CHAT,
      said("What is my name?"),
      {
        ...going("Your na"),
        state: "error",
        error: {
          kind: "EngineError",
          message:
            "The engine broke off the reply (code 13, INTERNAL: decode step failed); send the message again, or reset the chat.",
          retry: "send",
        },
      },
    ];
  },
  failed: (k) => {
    k.status = "failed";
    const message =
      "The new conversation could not be created (code 8, RESOURCE_EXHAUSTED: out of memory); close other chats and reset again.";
    k.more = { error: { message, remedy: "reset" } };
  },
  resetting: (k) => {
    k.status = "resetting";
  },
  busy: (k) => {
    k.silent = true;
    k.messages = CHAT;
  },
  rtl: (k) => {
    k.messages = [said("כתוב לי משהו"), replied(RIGHT_TO_LEFT)];
  },
  markdown: (k) => {
    k.messages = [said("Show me what you can write."), replied(MARKDOWN)];
  },
  "markdown-streaming": (k) => {
    const upto = Number(new URLSearchParams(location.search).get("upto") ?? 640);
    k.status = "generating";
    k.messages = [said("And while you write?"), going(MARKDOWN.slice(0, upto))];
  },
  long: (k) => {
    k.messages = Array.from({ length: 1000 }, (_, i) => [
      said(`Prompt ${i + 1}`),
      replied(`Reply ${i + 1}. ${ANSWER}`),
    ]).flat();
  },
};
