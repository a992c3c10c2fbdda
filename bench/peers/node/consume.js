// bbc/sqs-consumer (https://github.com/bbc/sqs-consumer): ten at a time; each message handled by
// itself, or all that were received together.
import { SQSClient } from "@aws-sdk/client-sqs";
import { Consumer } from "sqs-consumer";

const [queue, how] = process.argv.slice(2);
const handle =
  how === "batch"
    ? {
        handleMessageBatch: async (messages) => {
          messages.forEach((message) => JSON.parse(message.Body));
          return messages;
        },
      }
    : {
        handleMessage: async (message) => {
          JSON.parse(message.Body);
          return message;
        },
      };

const consumer = Consumer.create({
  queueUrl: `${process.env.AWS_ENDPOINT_URL}/000000000000/${queue}`,
  batchSize: 10,
  waitTimeSeconds: 20,
  sqs: new SQSClient({}),
  ...handle,
});
consumer.on("error", (error) => console.error(error));
consumer.on("processing_error", (error) => console.error(error));
consumer.start();
