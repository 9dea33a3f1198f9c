// What users of @saintno/comfyui-sdk do: run workflows, and see them fail and be interrupted.
import { CallWrapper, ComfyApi, PromptBuilder } from "@saintno/comfyui-sdk";

const url = process.env.SD_URL;
const say = (what) => console.log(JSON.stringify(what));
const setFaults = (faults) =>
  fetch(process.env.SD_FAULTS, {
    method: "POST",
    body: JSON.stringify(faults),
    headers: { "Content-Type": "application/json" },
  });

function drawing() {
  const sampling = { steps: 4, cfg: 7, sampler_name: "euler", scheduler: "normal", denoise: 1 };
  const node = (class_type, inputs) => ({ class_type, inputs });
  const prompt = {
    1: node("CheckpointLoaderSimple", { ckpt_name: "v1-5-pruned-emaonly.safetensors" }),
    2: node("CLIPTextEncode", { text: "a fox", clip: ["1", 1] }),
    4: node("EmptyLatentImage", { width: 64, height: 64, batch_size: 1 }),
    5: node("KSampler", { model: ["1", 0], positive: ["2", 0], negative: ["2", 0], latent_image: ["4", 0], ...sampling }),
    6: node("VAEDecode", { samples: ["5", 0], vae: ["1", 2] }),
    9: node("SaveImage", { images: ["6", 0], filename_prefix: "fox" }),
  };
  return new PromptBuilder(prompt, ["seed"], ["images"])
    .setInputNode("seed", "5.inputs.seed")
    .setOutputNode("images", "9")
    .input("seed", Math.floor(Math.random() * 2 ** 32));
}

async function client(credentials) {
  const api = new ComfyApi(url, crypto.randomUUID(), { credentials });
  return api.init(2, 200).waitForReady();
}

function run(api, begun = () => {}) {
  const seen = [];
  return new Promise((resolve) =>
    new CallWrapper(api, drawing())
      .onPending(() => seen.push("pending"))
      .onStart(() => seen.push("start"))
      .onProgress((info) => begun(seen.push(`step ${info.value} of ${info.max}`)))
      .onFinished(async (data) => {
        const picture = await api.getImage(data.images.images[0]);
        resolve({ seen, size: picture.size, type: picture.type });
      })
      .onFailed((error) => resolve({ seen, failed: error.message }))
      .run(),
  );
}

const api = await client({ type: "bearer_token", token: process.env.SD_KEY });
say({ done: await run(api) });
say({ checkpoints: await api.getCheckpoints(), samplers: (await api.getSamplerInfo()).sampler[0].includes("euler") });
const uploaded = await api.uploadImage(new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]), "in.png");
say({ uploaded: uploaded.info });
await setFaults({ fail_jobs: 1 });
say({ error: await run(api) });
await setFaults({ step_s: 1.5 });
say({ interrupted: await run(api, () => api.interrupt()) });
await setFaults({ step_s: 0 });
const basic = await client({ type: "basic", username: "me", password: process.env.SD_KEY });
say({ basic: await run(basic) });
process.exit(0);
