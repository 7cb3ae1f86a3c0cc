console.log(`hello from ${require("os").hostname()}`);
